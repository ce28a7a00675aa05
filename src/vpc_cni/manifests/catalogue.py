"""The catalogue: which versions of the add-on exist, what each looks like, and on which clusters it runs. Pure.

The packaged file is ``data/catalogue.toml``; users may read another one with :func:`parse_catalogue`. Facts have a
day on which they were true (``valid_at``), since clusters and add-ons go on.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from importlib import resources

from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.manifests._catalogue_file import read_catalogue_file
from vpc_cni.manifests.offers import Addon, Offer, check_offers
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
class Approximation:
    """How a version looks, as far as is known.

    Attributes:
        profile: has the version that was asked for.
        basis: the older release whose profile it really is; None when the version has a profile of its own.
        known_changes: what is known to have changed from ``basis`` to the version, and is *not* in the profile.
    """

    profile: Profile
    basis: AddonVersion | None = None
    known_changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that is known about versions.

    ``profiles`` are ascending by version, each with its upstream version; ``newest`` ascends by day; ``offers`` have
    the newest first. ``addon`` is None, and ``offers`` empty, in a catalogue for self-managed installations only.
    ``release_changes`` says what changed against the release before, where that is told apart from the profile.
    ``default_release`` is what an installation of one's own gets when nobody names a version; None for the newest.
    """

    valid_at: date
    sources: Mapping[str, str]
    profiles: tuple[Profile, ...]
    restrictions: tuple[Restriction, ...]
    newest: tuple[NewestVersions, ...]
    addon: Addon | None = None
    offers: tuple[Offer, ...] = ()
    release_changes: Mapping[AddonVersion, tuple[str, ...]] = field(default_factory=dict)
    default_release: AddonVersion | None = None

    def find(self, version: AddonVersion, kubernetes: KubernetesVersion | None = None) -> Profile:
        """Return the profile of a version, with that very version in it.

        Args:
            kubernetes: of the cluster that it is meant for. Then a version without a profile that could not run there
                anyway is refused with that reason; a version with a profile still has to be checked (``check``).

        Raises:
            CallerError: there is no such version, or none with a profile.
            ConfigurationError: it has no profile, and does not run on that cluster.
        """
        for profile in self.profiles:
            if version in profile.versions:
                return replace(profile, version=version)
        if kubernetes is not None:
            self._refuse(self._restriction(version, kubernetes), kubernetes)
        known = ", ".join(str(each) for profile in self.profiles for each in profile.versions)
        listed = {each for table in self.newest for each in table.versions.values()}
        listed |= {offer.version for offer in self.offers}
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

    def default_profile(self, kubernetes: KubernetesVersion | None = None) -> Profile:
        """Return what an installation of one's own gets when nobody names a version, with its upstream version.

        The newest that the cluster can run, up to ``default_release``.

        Raises:
            CallerError: no profile can run there.
        """
        if self.default_release is None:
            return self.newest_profile(kubernetes)
        older = tuple(each for each in self.profiles if each.version <= self.default_release)
        return replace(self, profiles=older).newest_profile(kubernetes)

    def approximate(self, version: AddonVersion) -> "Approximation":
        """Return what is known of how a version looks: its profile, or that of the nearest older release.

        Raises:
            CallerError: there is no profile of it, and none of an older release.
        """
        if version in self.deployable:
            return Approximation(self.find(version))
        older = [each for each in self.profiles if each.version.release <= version.release]
        if not older:
            self.find(version)
        basis = older[-1] if older else self.profiles[0]
        between = [each for each in self.release_changes if basis.version < each <= version.release]
        known = tuple(f"{each}: {line}" for each in sorted(between) for line in self.release_changes[each])
        return Approximation(replace(basis, version=version), basis.version, known)

    def listed_versions(self, kubernetes: KubernetesVersion | None = None) -> tuple[AddonVersion, ...]:
        """Return the managed versions that EKS offers to a cluster (None: to any), newest first."""
        return tuple(offer.version for offer in self.offers if kubernetes is None or kubernetes in offer.clusters)

    def addon_versions(self, kubernetes: KubernetesVersion | None = None) -> tuple[AddonVersion, ...]:
        """Return those of ``listed_versions`` that have a profile, so can be deployed; newest first."""
        return tuple(version for version in self.listed_versions(kubernetes) if version in self.deployable)

    def default_version(self, kubernetes: KubernetesVersion) -> AddonVersion:
        """Return what a cluster gets when nobody names a version; it has a profile, and need not be the newest.

        Raises:
            CallerError: nothing is offered to that version of Kubernetes.
        """
        for offer in self.offers:
            if kubernetes in offer.default_for:
                return offer.version
        known = ", ".join(map(str, sorted({each for offer in self.offers for each in offer.default_for})))
        raise CallerError(
            f"the catalogue of {self.valid_at} has no default version for Kubernetes {kubernetes}",
            hint=f"it has one for {known}" if known else "it has no managed versions",
        )

    def offer(self, version: AddonVersion) -> Offer:
        """Return what EKS says about a managed version.

        Raises:
            CallerError: the catalogue does not list it.
        """
        for offer in self.offers:
            if offer.version == version:
                return offer
        raise CallerError(f"{version} is not among the managed versions in the catalogue of {self.valid_at}")

    def changes(self, version: AddonVersion) -> tuple[str, ...]:
        """Say what a version's release changed, for people; empty when the catalogue does not know."""
        of_profile = {profile.version.release: profile.changes for profile in self.profiles}
        return self.release_changes.get(version.release) or of_profile.get(version.release, ())

    @property
    def deployable(self) -> frozenset[AddonVersion]:
        """All versions with a profile, releases and builds."""
        return frozenset(version for profile in self.profiles for version in profile.versions)

    def refusal(self, profile: Profile, kubernetes: KubernetesVersion) -> str | None:
        """Say why a version does not run on a cluster; None when it does, as far as is known."""
        restricted = self._restriction(profile.version, kubernetes)
        if restricted is not None:
            return restricted
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
        self._refuse(self.refusal(profile, kubernetes), kubernetes)
        if kubernetes > profile.newest_kubernetes:
            return (
                f"Kubernetes {kubernetes} is newer than what the catalogue of {self.valid_at} knows for "
                f"{profile.version} ({profile.newest_kubernetes})",
            )
        return ()

    def _restriction(self, version: AddonVersion, kubernetes: KubernetesVersion) -> str | None:
        for restriction in self.restrictions:
            if restriction.concerns(version) and kubernetes < restriction.oldest_kubernetes:
                needed = f"{version} needs Kubernetes {restriction.oldest_kubernetes} or later"
                return f"{needed}, the cluster has {kubernetes}: {restriction.reason}"
        return None

    def _refuse(self, refusal: str | None, kubernetes: KubernetesVersion) -> None:
        if refusal is not None:
            better = self.default_profile(kubernetes).version
            raise ConfigurationError(refusal, hint=f"use {better}, or update the cluster first")


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
        addon=parts.addon,
        offers=tuple(sorted(parts.offers, key=lambda offer: offer.version, reverse=True)),
        release_changes=parts.changes,
        default_release=parts.default_release,
    )
    _check_sources(catalogue, origin)
    _check_default_release(catalogue, origin)
    check_offers(catalogue.offers, catalogue.deployable, origin)
    _check_restrictions(catalogue, origin)
    return catalogue


def _check_sources(catalogue: Catalogue, origin: str) -> None:
    named = {source for profile in catalogue.profiles for source in profile.sources}
    named |= {restriction.source for restriction in catalogue.restrictions}
    named |= {table.source for table in catalogue.newest}
    named |= {source for offer in catalogue.offers for source in offer.sources}
    named |= set(catalogue.addon.sources if catalogue.addon else ())
    unknown = sorted(named - set(catalogue.sources))
    if unknown:
        raise ConfigurationError(f"{origin}: no such source: {', '.join(unknown)}", hint="add it to [sources]")


def _check_default_release(catalogue: Catalogue, origin: str) -> None:
    release = catalogue.default_release
    if release is not None and (release.build or release not in catalogue.deployable):
        raise ConfigurationError(f"{origin}: default_release {release} is no release with a profile")


def _check_restrictions(catalogue: Catalogue, origin: str) -> None:
    for offer in catalogue.offers:
        for restriction in catalogue.restrictions:
            if restriction.concerns(offer.version) and offer.clusters[0] < restriction.oldest_kubernetes:
                raise ConfigurationError(
                    f"{origin}: {offer.version} is offered to Kubernetes {offer.clusters[0]}, but a restriction says "
                    f"that it needs {restriction.oldest_kubernetes}"
                )


@functools.cache
def packaged_catalogue() -> Catalogue:
    """Return the catalogue that comes with this release."""
    file = resources.files("vpc_cni.manifests") / "data" / "catalogue.toml"
    return parse_catalogue(file.read_text(encoding="utf-8"), file.name)
