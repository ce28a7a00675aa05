"""Managed versions as EKS offers them: to which clusters, and what they ask for. Pure values and their checks."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vpc_cni.errors import ConfigurationError
from vpc_cni.manifests.versions import AddonVersion, KubernetesVersion

_ARCHITECTURES = frozenset({"amd64", "arm64"})


@dataclass(frozen=True, slots=True)
class Addon:
    """What EKS says about the add-on itself, and of each version unless its offer says otherwise.

    Attributes:
        type: as in ``eks:DescribeAddonVersions``; so are ``owner``, ``publisher`` and what follows ``architectures``.
        managed_policies: names of AWS-managed IAM policies that its role needs; their ARN depends on the partition.
        cluster_env: variables of the agent that EKS sets itself, out of the cluster; no version's objects name them.
        pod_identity_since: the first build that takes pod identity associations.
        platform_versions: of EKS; ``*`` stands for all.
    """

    name: str
    type: str
    owner: str
    publisher: str
    namespace: str
    service_account: str
    managed_policies: tuple[str, ...]
    pod_identity_since: AddonVersion
    architectures: tuple[str, ...]
    compute_types: tuple[str, ...]
    platform_versions: tuple[str, ...]
    requires_configuration: bool
    requires_iam_permissions: bool
    sources: tuple[str, ...]
    cluster_env: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """One managed build. ``clusters`` it is offered to and those it is the default of, both ascending."""

    version: AddonVersion
    clusters: tuple[KubernetesVersion, ...]
    default_for: tuple[KubernetesVersion, ...]
    architectures: tuple[str, ...]
    compute_types: tuple[str, ...]
    platform_versions: tuple[str, ...]
    requires_configuration: bool
    requires_iam_permissions: bool
    sources: tuple[str, ...]


def check_offers(offers: Sequence[Offer], deployable: Iterable[AddonVersion], origin: str) -> None:
    """Refuse offers that contradict each other or the profiles; ``deployable`` are the versions with a profile.

    Raises:
        ConfigurationError: with the version, the cluster, and what is wrong.
    """
    with_profile = frozenset(deployable)
    for offer in offers:
        _check_one(offer, origin)
    for version, count in Counter(offer.version for offer in offers).items():
        if count > 1:
            raise ConfigurationError(f"{origin}: {version} is offered twice")
    _check_builds(offers, with_profile, origin)
    _check_defaults(offers, with_profile, origin)


def _check_one(offer: Offer, origin: str) -> None:
    strange = sorted(set(offer.architectures) - _ARCHITECTURES)
    if strange:
        raise ConfigurationError(f"{origin}: {offer.version}: no such architecture: {', '.join(strange)}")
    elsewhere = sorted(set(offer.default_for) - set(offer.clusters))
    if elsewhere:
        raise ConfigurationError(
            f"{origin}: {offer.version} is the default of Kubernetes {elsewhere[0]}, but is not offered there"
        )


def _check_builds(offers: Sequence[Offer], with_profile: frozenset[AddonVersion], origin: str) -> None:
    """Offers and ``builds`` of profiles must name the same builds: else one could be asked for but not deployed."""
    offered = {offer.version for offer in offers}
    releases = {version.release for version in with_profile}
    for version in sorted(offered - with_profile):
        if version.release in releases:
            raise ConfigurationError(
                f"{origin}: {version} is offered, but its profile does not list build {version.build}"
            )
    missing = sorted(version for version in with_profile - offered if version.build)
    if offered and missing:
        raise ConfigurationError(f"{origin}: the profile of {missing[0]} lists that build, but it is not offered")


def _check_defaults(offers: Sequence[Offer], with_profile: frozenset[AddonVersion], origin: str) -> None:
    for offer in offers:
        if offer.default_for and offer.version not in with_profile:
            raise ConfigurationError(f"{origin}: {offer.version} is a default, but has no profile")
    defaults = Counter(cluster for offer in offers for cluster in offer.default_for)
    twice = [str(cluster) for cluster, count in defaults.items() if count > 1]
    if twice:
        raise ConfigurationError(f"{origin}: Kubernetes {twice[0]} has two default versions")
    deployable = {cluster for offer in offers if offer.version in with_profile for cluster in offer.clusters}
    without = sorted(deployable - set(defaults))
    if without:
        raise ConfigurationError(f"{origin}: Kubernetes {without[0]} has no default version")
