"""What EKS says of clusters, add-ons, updates and versions, as plain values. Pure.

Texts of the API (statuses, codes, versions) stay texts: EKS may have words that this release does not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from vpc_cni.manifests import KubernetesVersion, parse_kubernetes_version

ADDON = "vpc-cni"
# Statuses in which EKS works on the add-on and refuses every change.
UNDER_WAY = frozenset({"CREATING", "UPDATING", "DELETING"})


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue of an add-on's health, or an error of an update."""

    code: str
    message: str
    resources: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class Association:
    """The role of a service account's pods. ``id`` is empty in a wish."""

    service_account: str
    role_arn: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class ManagedAddon:
    """The add-on as DescribeAddon shows it.

    Attributes:
        role_arn: empty for none; ``configuration_values`` is None where none were ever given.
        association_arns: of pod identity associations that the add-on owns.
        raw: the whole answer, for records.
    """

    version: str
    status: str
    issues: tuple[Issue, ...] = ()
    role_arn: str = ""
    configuration_values: str | None = None
    association_arns: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    modified_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Update:
    """One update; ``params`` are what it was asked for, in the order of the API."""

    id: str
    status: str
    type: str
    params: tuple[tuple[str, str], ...]
    errors: tuple[Issue, ...]
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EksCluster:
    """A cluster as DescribeCluster shows it. ``issuer`` is its OpenID Connect issuer's URL, empty for none."""

    name: str
    arn: str
    version: str
    status: str
    platform_version: str
    ip_family: str
    issuer: str
    auto_mode: bool
    endpoint: str = ""

    @property
    def kubernetes(self) -> KubernetesVersion:
        return parse_kubernetes_version(self.version)

    @property
    def partition(self) -> str:
        return self._arn_part(1)

    @property
    def region(self) -> str:
        return self._arn_part(3)

    @property
    def account_id(self) -> str:
        return self._arn_part(4)

    def _arn_part(self, number: int) -> str:
        parts = self.arn.split(":")
        return parts[number] if len(parts) > number else ""


@dataclass(frozen=True, slots=True)
class OfferedVersion:
    """A version that EKS offers. ``default_for`` are the cluster versions that get it when nobody names one."""

    version: str
    clusters: tuple[str, ...]
    default_for: tuple[str, ...]
    architectures: tuple[str, ...]
    compute_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FargateProfile:
    """A profile and the namespaces it selects."""

    name: str
    status: str
    namespaces: tuple[str, ...]


def parse_addon(answer: Mapping[str, Any]) -> ManagedAddon:
    """Read member ``addon`` of an answer."""
    return ManagedAddon(
        version=str(answer.get("addonVersion", "")),
        status=str(answer.get("status", "")),
        issues=tuple(_issue(each, "code", "message") for each in (answer.get("health") or {}).get("issues") or ()),
        role_arn=str(answer.get("serviceAccountRoleArn") or ""),
        configuration_values=answer.get("configurationValues"),
        association_arns=tuple(answer.get("podIdentityAssociations") or ()),
        tags=dict(answer.get("tags") or {}),
        created_at=_moment(answer.get("createdAt")),
        modified_at=_moment(answer.get("modifiedAt")),
        raw=answer,
    )


def parse_update(answer: Mapping[str, Any]) -> Update:
    """Read member ``update`` of an answer."""
    return Update(
        id=str(answer.get("id", "")),
        status=str(answer.get("status", "")),
        type=str(answer.get("type", "")),
        params=tuple((str(each.get("type", "")), str(each.get("value", ""))) for each in answer.get("params") or ()),
        errors=tuple(_issue(each, "errorCode", "errorMessage") for each in answer.get("errors") or ()),
        created_at=_moment(answer.get("createdAt")),
    )


def parse_cluster(answer: Mapping[str, Any]) -> EksCluster:
    """Read member ``cluster`` of an answer."""
    return EksCluster(
        name=str(answer.get("name", "")),
        arn=str(answer.get("arn", "")),
        version=str(answer.get("version", "")),
        status=str(answer.get("status", "")),
        platform_version=str(answer.get("platformVersion") or ""),
        ip_family=str((answer.get("kubernetesNetworkConfig") or {}).get("ipFamily") or "ipv4"),
        issuer=str(((answer.get("identity") or {}).get("oidc") or {}).get("issuer") or ""),
        auto_mode=bool((answer.get("computeConfig") or {}).get("enabled")),
        endpoint=str(answer.get("endpoint") or ""),
    )


def parse_offer(answer: Mapping[str, Any]) -> OfferedVersion:
    """Read an item of member ``addonVersions``."""
    compatible = answer.get("compatibilities") or ()
    return OfferedVersion(
        version=str(answer.get("addonVersion", "")),
        clusters=tuple(str(each.get("clusterVersion", "")) for each in compatible),
        default_for=tuple(str(each.get("clusterVersion", "")) for each in compatible if each.get("defaultVersion")),
        architectures=tuple(answer.get("architecture") or ()),
        compute_types=tuple(answer.get("computeTypes") or ()),
    )


def parse_profile(answer: Mapping[str, Any]) -> FargateProfile:
    """Read member ``fargateProfile`` of an answer."""
    return FargateProfile(
        name=str(answer.get("fargateProfileName", "")),
        status=str(answer.get("status", "")),
        namespaces=tuple(str(each.get("namespace", "")) for each in answer.get("selectors") or ()),
    )


def _issue(answer: Mapping[str, Any], code: str, message: str) -> Issue:
    return Issue(str(answer.get(code, "")), str(answer.get(message, "")), tuple(answer.get("resourceIds") or ()))


def _moment(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None
