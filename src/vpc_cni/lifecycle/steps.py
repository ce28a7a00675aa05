"""The way from one version to another: one minor at a time, with the newest patch of each on the way. Pure.

Source: Amazon EKS user guide, page on updating the add-on; once enforced by the API, now advice. Versions from v1.12.0
on are reached from v1.7.0 or later only.
"""

from collections.abc import Iterable

from vpc_cni.errors import RefusedError
from vpc_cni.lifecycle.versions import read_version
from vpc_cni.manifests import AddonVersion, Catalogue, KubernetesVersion

_CHECKPOINT_SINCE = AddonVersion(1, 12, 0)
_OLDEST_BEFORE_CHECKPOINT = AddonVersion(1, 7, 0)


def plan_steps(
    current: AddonVersion,
    target: AddonVersion,
    offered: Iterable[str],
    catalogue: Catalogue,
    kubernetes: KubernetesVersion,
) -> tuple[AddonVersion, ...]:
    """Return the versions to update to, in order; the target is the last. Up and down alike.

    Minors of which nothing is offered, or nothing that runs on the cluster, are skipped.

    Raises:
        RefusedError: the target cannot be reached from here.
    """
    if current.release < _OLDEST_BEFORE_CHECKPOINT and target.release >= _CHECKPOINT_SINCE:
        raise RefusedError(
            f"{target} cannot be reached from {current}", hint=f"update to {_OLDEST_BEFORE_CHECKPOINT} or later first"
        )
    known = [version for text in offered if (version := read_version(text))]
    usable = [each for each in known if not _is_restricted(each, catalogue, kubernetes)]
    between = range(*_bounds(current.minor, target.minor)) if current.major == target.major else range(0)
    newest = {
        minor: max(found)
        for minor in between
        if (found := [each for each in usable if (each.major, each.minor) == (target.major, minor)])
    }
    ordered = sorted(newest, reverse=target.minor < current.minor)
    return (*(newest[minor] for minor in ordered), target)


def _bounds(current: int, target: int) -> tuple[int, int]:
    """Return the minors strictly between two."""
    return min(current, target) + 1, max(current, target)


def _is_restricted(version: AddonVersion, catalogue: Catalogue, kubernetes: KubernetesVersion) -> bool:
    return any(each.concerns(version) and kubernetes < each.oldest_kubernetes for each in catalogue.restrictions)
