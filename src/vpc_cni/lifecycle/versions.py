"""Versions that a cluster may have: which are offered, which is installed, what each changed. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vpc_cni.errors import CallerError
from vpc_cni.lifecycle.records import OfferedVersion
from vpc_cni.manifests import AddonVersion, Catalogue, parse_addon_version, parse_kubernetes_version


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One offered version. ``changes`` are for people; empty when this release's catalogue does not know them.

    ``warning`` says why it does not run on the cluster although it is offered; empty when it does.
    """

    version: AddonVersion
    is_default: bool
    is_installed: bool
    clusters: tuple[str, ...]
    architectures: tuple[str, ...]
    changes: tuple[str, ...]
    warning: str = ""


def list_versions(
    offers: Iterable[OfferedVersion], catalogue: Catalogue, installed: str = "", kubernetes: str = ""
) -> tuple[VersionRow, ...]:
    """Return what is offered, newest first; what is no version of ours to read is left out.

    Args:
        kubernetes: of the cluster, whose default is marked; empty for none in particular.
    """
    rows = [
        VersionRow(
            version=version,
            is_default=kubernetes in offer.default_for if kubernetes else bool(offer.default_for),
            is_installed=offer.version == installed,
            clusters=offer.clusters,
            architectures=offer.architectures,
            changes=catalogue.changes(version),
            warning=restriction(catalogue, version, kubernetes),
        )
        for version, offer in _readable(offers)
    ]
    return tuple(sorted(rows, key=lambda row: row.version, reverse=True))


def read_version(text: str) -> AddonVersion | None:
    """Return a version; None for a text that is none."""
    try:
        return parse_addon_version(text)
    except CallerError:
        return None


def restriction(catalogue: Catalogue, version: AddonVersion, kubernetes: str) -> str:
    """Say why a version does not run on a cluster's Kubernetes; empty when nothing is known against it."""
    if not kubernetes:
        return ""
    cluster = parse_kubernetes_version(kubernetes)
    for each in catalogue.restrictions:
        if each.concerns(version) and cluster < each.oldest_kubernetes:
            return f"{version} needs Kubernetes {each.oldest_kubernetes} or later: {each.reason}"
    return ""


def choose_version(asked: str, offers: Iterable[OfferedVersion], kubernetes: str) -> str:
    """Return the version that a word means: ``default``, ``latest``, a release (its newest build), or a build.

    Raises:
        CallerError: nothing that is offered fits, or it is no such word.
    """
    newest_first = sorted(_readable(offers), key=lambda pair: pair[0], reverse=True)
    wanted = None if asked in ("default", "latest") else parse_addon_version(asked)
    for version, offer in newest_first:
        if asked == "default" and kubernetes not in offer.default_for:
            continue
        if wanted is None or version == wanted or (not wanted.build and version.release == wanted):
            return offer.version
    offered = ", ".join(offer.version for _, offer in newest_first)
    raise CallerError(
        f"version {asked} is not offered to Kubernetes {kubernetes}", hint=f"offered: {offered or 'none'}"
    )


def _readable(offers: Iterable[OfferedVersion]) -> Iterator[tuple[AddonVersion, OfferedVersion]]:
    for offer in offers:
        version = read_version(offer.version)
        if version is not None:
            yield version, offer
