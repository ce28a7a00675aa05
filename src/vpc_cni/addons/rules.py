"""What the server checks of a request because clients do not: names, roles, tags, versions, modes. Pure.

Clients made from the EKS service model check that required members are there, and minimum lengths. They check no
maximum, no pattern, and no enumeration.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from vpc_cni.addons import errors
from vpc_cni.addons.model import ConflictMode, Owner
from vpc_cni.errors import CallerError
from vpc_cni.manifests import Addon, AddonVersion, Catalogue, KubernetesVersion, parse_addon_version

TAGS_MAX = 50
_TAG_KEY_MAX, _TAG_VALUE_MAX = 128, 256
_VERSION_MAX = 64
_ROLE_MAX = 255
_CLUSTER_NAME = re.compile(r"[0-9A-Za-z][A-Za-z0-9\-_]{0,99}", re.ASCII)
_PROFILE_NAME = re.compile(r"[0-9A-Za-z][A-Za-z0-9\-_]{0,62}", re.ASCII)
_ROLE = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/[\w+=,.@/-]{1,512}", re.ASCII)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
_KUBERNETES = re.compile(r"(\d{1,3})\.(\d{1,3})", re.ASCII)


class InputError(CallerError):
    """A member of a request is not as it must be; which exception says so depends on the operation."""


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """What an add-on's pods shall be: the role of one service account."""

    service_account: str
    role_arn: str


def check_cluster_name(name: str) -> str:
    """Return the name of a cluster as it is.

    Raises:
        InputError: no cluster can have that name.
    """
    if not _CLUSTER_NAME.fullmatch(name):
        raise InputError(
            "The cluster name must have 1 to 100 letters, digits, hyphens and underscores, and begin with a letter or "
            "a digit"
        )
    return name


def check_profile_name(name: str) -> str:
    """Return the name of a Fargate profile as it is; InputError when none can have it."""
    if not _PROFILE_NAME.fullmatch(name):
        raise InputError("The name of a Fargate profile has 1 to 63 letters, digits, hyphens and underscores")
    return name


def check_role(arn: str, owner: Owner) -> str:
    """Return a role as it is: one of the owner's account and partition.

    Raises:
        InputError: it is too long.
        ApiError: it is no role, or another account's.
    """
    if not arn:
        raise errors.cross_account_role()
    if len(arn) > _ROLE_MAX:
        raise InputError(f"A role's ARN has up to {_ROLE_MAX} characters")
    found = _ROLE.fullmatch(arn)
    if found is None or found[1] != owner.partition:
        raise errors.invalid_role(arn)
    if found[2] != owner.account_id:
        raise errors.cross_account_role()
    return arn


def parse_mode(text: str | None) -> ConflictMode:
    """Read ``resolveConflicts`` in whatever case; absent means NONE.

    Raises:
        InputError: there is no such mode.
    """
    try:
        return ConflictMode((text or "NONE").upper())
    except ValueError:
        raise InputError(f"resolveConflicts must be one of {', '.join(ConflictMode)}") from None


def check_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Return tags as they are; none are fine.

    Raises:
        InputError: too many, too long, or in the namespace that AWS keeps for itself.
    """
    if len(tags) > TAGS_MAX:
        raise InputError(f"A resource has up to {TAGS_MAX} tags")
    for key, value in tags.items():
        check_tag_key(key)
        if len(value) > _TAG_VALUE_MAX:
            raise InputError(f"The value of a tag has up to {_TAG_VALUE_MAX} characters")
    return tags


def check_tag_key(key: str) -> None:
    """Raise InputError when no tag of a user can have this key."""
    if not 1 <= len(key) <= _TAG_KEY_MAX:
        raise InputError(f"The key of a tag has 1 to {_TAG_KEY_MAX} characters")
    if key.lower().startswith("aws:"):
        raise InputError("Keys of tags that begin with aws: are reserved")


def check_namespace(text: str) -> str:
    """Return a namespace as it is; InputError when Kubernetes can have none of that name."""
    if not _LABEL.fullmatch(text):
        raise InputError("A namespace has 1 to 63 lower case letters, digits and hyphens")
    return text


def check_service_account(text: str) -> str:
    """Return a service account's name as it is; InputError when Kubernetes can have none of that name."""
    if not _SUBDOMAIN.fullmatch(text):
        raise InputError("A service account has 1 to 253 lower case letters, digits, hyphens and dots")
    return text


def parse_kubernetes(text: str) -> KubernetesVersion | None:
    """Read ``1.29`` and nothing else; None when it is no such version."""
    found = _KUBERNETES.fullmatch(text)
    return KubernetesVersion(int(found[1]), int(found[2])) if found else None


def parse_version(text: str) -> AddonVersion | None:
    """Read a version of the add-on written as the API writes it; None when it is none."""
    if len(text) > _VERSION_MAX:
        return None
    try:
        version = parse_addon_version(text)
    except CallerError:
        return None
    return version if str(version) == text else None


def choose_version(catalogue: Catalogue, kubernetes: KubernetesVersion, text: str | None) -> AddonVersion:
    """Return the version that a request asks for; the cluster's default when it names none.

    Raises:
        ApiError: it is not offered to that cluster.
    """
    if text is None:
        try:
            return catalogue.default_version(kubernetes)
        except CallerError:
            name = catalogue.addon.name if catalogue.addon else ""
            raise errors.addon_not_offered(name, str(kubernetes)) from None
    version = parse_version(text)
    if version is None or version not in catalogue.addon_versions(kubernetes):
        raise errors.version_not_supported()
    return version


def check_minor_step(current: AddonVersion, wished: AddonVersion) -> None:
    """Refuse to go over a minor version, up or down, as the service did until 2023.

    Raises:
        ApiError: the versions are further apart.
    """
    if current.major != wished.major or abs(current.minor - wished.minor) > 1:
        raise errors.minor_step_too_large()


def check_cluster_step(current: KubernetesVersion, wished: KubernetesVersion) -> None:
    """Allow a cluster the next minor version only.

    Raises:
        ApiError: it is another one.
    """
    if (wished.major, wished.minor) != (current.major, current.minor + 1):
        raise errors.cluster_step_too_large(str(current), str(wished))


def check_pod_identities(addon: Addon, version: AddonVersion, wished: Sequence[PodIdentity]) -> None:
    """Refuse associations that the add-on cannot have; none are fine for every version.

    Raises:
        InputError: a service account is named twice.
        ApiError: the version is too old, or the service account is not the add-on's.
    """
    if wished and version < addon.pod_identity_since:
        raise errors.pod_identity_too_old(str(version))
    seen: Collection[str] = set()
    for each in wished:
        if each.service_account != addon.service_account:
            raise errors.service_account_not_supported(each.service_account, addon.name)
        if each.service_account in seen:
            raise InputError(f"Service account {each.service_account} is named twice in podIdentityAssociations")
        seen = {*seen, each.service_account}
