"""A version that the catalogue does not have: what stands in for it, and what is not known then. Pure.

EKS is ahead of any catalogue. What can be said of such a version is said, and named for what it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vpc_cni.manifests import Approximation, Catalogue, find_unplaced


@dataclass(frozen=True, slots=True)
class Estimate:
    """Says that objects are not those of ``version``, but of the older release ``basis``.

    Attributes:
        catalogue_of: the day until which the catalogue is true, as ISO 8601 has it.
        known_changes: what is known to have changed since ``basis``; it is not in the objects.
        unknown: what is not known.
    """

    version: str
    basis: str
    catalogue_of: str
    known_changes: tuple[str, ...]
    unknown: tuple[str, ...]


def estimate_of(found: Approximation, catalogue: Catalogue, values: Mapping[str, Any]) -> Estimate | None:
    """Return what to say of a target; None when its version has a profile.

    Args:
        values: configuration values of the target, which EKS has its own schema for.
    """
    if found.basis is None:
        return None
    agent = found.profile.network_policy_agent
    unplaced = find_unplaced(values)
    return Estimate(
        version=str(found.profile.version),
        basis=str(found.basis),
        catalogue_of=catalogue.valid_at.isoformat(),
        known_changes=found.known_changes,
        unknown=(
            f"variables, flags, rights, probes and definitions that came or went after {found.basis}",
            *((f"the version of the network policy agent; {agent} is that of {found.basis}",) if agent else ()),
            *((f"what becomes of the values {', '.join(unplaced)}",) if unplaced else ()),
        ),
    )


def estimate_lines(estimate: Estimate) -> Iterator[str]:
    """Yield the same for people, the most important first."""
    yield (
        f"an estimate: the catalogue of {estimate.catalogue_of} does not have {estimate.version}; "
        f"this is {estimate.basis}, the nearest older release that it has"
    )
    for line in estimate.known_changes:
        yield f"known, and not in the estimate: {line}"
    for line in estimate.unknown:
        yield f"not known: {line}"
