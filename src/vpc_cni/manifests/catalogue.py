"""The catalogue: which versions of the add-on exist, what each looks like, and on which clusters it runs. Pure.

The packaged file is ``data/catalogue.toml``; users may read another one with :func:`parse_catalogue`. Facts have a
day on which they were true (``valid_at``), since clusters and add-ons go on.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from importlib import resources

from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.manifests._catalogue_file import read_catalogue_file
from vpc_cni.manifests.profile import Profile
from vpc_cni.manifests.versions import AddonVersion, KubernetesVersion


@dataclass(frozen=True, slots=True)
class Restriction:
    """Versions ``first`` to ``last``, both included and whatever their build, need ``oldest_kubernetes``."""

    first: AddonVersion
    last: AddonVersion
    oldest_kubernetes: KubernetesVersion
    reason: str
    source: str

    def concerns(self, version: AddonVersion) -> bool:
        return self.first <= version.release <= self.last


@dataclass(frozen=True, slots=True)
class NewestVersions:
    """The newest managed version for each Kubernetes version, as a source said it on one day."""

    day: date
    source: str
    versions: Mapping[KubernetesVersion, AddonVersion]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that is known about versions.

    ``profiles`` are ascending by version, each with its upstream version; ``newest`` ascends by day.
    """

    valid_at: date
    sources: Mapping[str, str]
    profiles: tuple[Profile, ...]
    restrictions: tuple[Restriction, ...]
    newest: tuple[NewestVersions, ...]

    def find(self, version: AddonVersion) -> Profile:
        """Return the profile of a version, with that very version in it.

        Raises:
            CallerError: there is no such version, or none with a profile.
        """
        for profile in self.profiles:
            if version in profile.versions:
                return replace(profile, version=version)
        known = ", ".join(str(each) for profile in self.profiles for each in profile.versions)
        listed = {each for table in self.newest for each in table.versions.values()}
        what = "is listed, but without a profile," if version in listed else "is not"
        raise CallerError(
            f"version {version} {what} in the catalogue of {self.valid_at}",
            hint=f"choose one of {known}; or describe it in a catalogue file of your own",
        )

    def newest_profile(self, kubernetes: KubernetesVersion | None = None) -> Profile:
        """Return the newest profile that a cluster can run, with its upstream version.

        Raises:
            CallerError: no profile can run there.
        """
        for profile in reversed(self.profiles):
            if kubernetes is None or self.refusal(profile, kubernetes) is None:
                return profile
        raise CallerError(f"no version in the catalogue of {self.valid_at} runs on Kubernetes {kubernetes}")

    def refusal(self, profile: Profile, kubernetes: KubernetesVersion) -> str | None:
        """Say why a version does not run on a cluster; None when it does, as far as is known."""
        for restriction in self.restrictions:
            if restriction.concerns(profile.version) and kubernetes < restriction.oldest_kubernetes:
                return (
                    f"{profile.version} needs Kubernetes {restriction.oldest_kubernetes} or later, the cluster has "
                    f"{kubernetes}: {restriction.reason}"
                )
        if profile.oldest_kubernetes is not None and kubernetes < profile.oldest_kubernetes:
            return (
                f"{profile.version} needs Kubernetes {profile.oldest_kubernetes} or later, the cluster has {kubernetes}"
            )
        return None

    def check(self, profile: Profile, kubernetes: KubernetesVersion) -> tuple[str, ...]:
        """Refuse a version that does not run on a cluster; return what else is to be known about the two.

        Raises:
            ConfigurationError: the version does not run there.
        """
        refusal = self.refusal(profile, kubernetes)
        if refusal is not None:
            better = self.newest_profile(kubernetes).version
            raise ConfigurationError(refusal, hint=f"use {better}, or update the cluster first")
        if kubernetes > profile.newest_kubernetes:
            return (
                f"Kubernetes {kubernetes} is newer than what the catalogue of {self.valid_at} knows for "
                f"{profile.version} ({profile.newest_kubernetes})",
            )
        return ()


def parse_catalogue(text: str, origin: str) -> Catalogue:
    """Read a catalogue in TOML; ``origin`` names the file in messages.

    Raises:
        ConfigurationError: the text is no catalogue; the message says where.
    """
    parts = read_catalogue_file(text, origin)
    catalogue = Catalogue(
        valid_at=parts.valid_at,
        sources=parts.sources,
        profiles=tuple(sorted(parts.profiles, key=lambda profile: profile.version)),
        restrictions=tuple(Restriction(*fields) for fields in parts.restrictions),
        newest=tuple(NewestVersions(*fields) for fields in parts.newest),
    )
    _check_sources(catalogue, origin)
    return catalogue


def _check_sources(catalogue: Catalogue, origin: str) -> None:
    named = {source for profile in catalogue.profiles for source in profile.sources}
    named |= {restriction.source for restriction in catalogue.restrictions}
    named |= {table.source for table in catalogue.newest}
    unknown = sorted(named - set(catalogue.sources))
    if unknown:
        raise ConfigurationError(f"{origin}: no such source: {', '.join(unknown)}", hint="add it to [sources]")


@functools.cache
def packaged_catalogue() -> Catalogue:
    """Return the catalogue that comes with this release."""
    file = resources.files("vpc_cni.manifests") / "data" / "catalogue.toml"
    return parse_catalogue(file.read_text(encoding="utf-8"), file.name)
