"""Who manages the add-on in a cluster, and which version runs. Pure.

An EKS add-on is updated through EKS: whoever changes its objects directly is overruled, or breaks the next update. So
the type is known only when EKS itself said so. Every answer other than "no such add-on" leaves it unknown:

==================================  ===================  =========================================
EKS                                 DaemonSet aws-node   type
==================================  ===================  =========================================
has the add-on                      present              managed
has the add-on                      absent               managed, broken
``No addon: ...``                   present              self-managed
``No addon: ...``                   absent               absent
failed (denied, throttled, ...)     any                  unknown
not asked, no sign of EKS           present or absent    self-managed or absent
not asked, signs of EKS             any                  unknown
any                                 could not be read    unknown, unless EKS has the add-on
==================================  ===================  =========================================
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vpc_cni.cluster.inventory import AGENT, FIELD_MANAGER
from vpc_cni.errors import CallerError
from vpc_cni.manifests import (
    Manifest,
)

_EKS_MANAGER = "eks"
_ASK_EKS = "give --cluster-name, --region, and credentials that may call eks:DescribeAddon"
_READ_DAEMON_SET = "use a kubeconfig that reaches the cluster and may get daemonsets in kube-system"


class AddonType(enum.StrEnum):
    MANAGED = "managed"
    SELF_MANAGED = "self-managed"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class EksVerdict(enum.StrEnum):
    NOT_ASKED = "not asked"
    HAS_ADDON = "has the add-on"
    NO_ADDON = "no such add-on"
    NO_CLUSTER = "no such cluster"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class EksAnswer:
    """What DescribeAddon came to. ``addon`` is its record where there is one; ``reason`` is for people."""

    verdict: EksVerdict
    reason: str = ""
    addon: Mapping[str, Any] = field(default_factory=dict)


NOT_ASKED = EksAnswer(EksVerdict.NOT_ASKED)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the Kubernetes API said of the DaemonSet: the object, None for no such object, or why it did not say."""

    daemon_set: Manifest | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Detection:
    """The type with its reason. ``origin`` names the tool that seems to have made a self-managed installation.

    ``hint`` says what would make an unknown type known.
    """

    type: AddonType
    reason: str
    broken: bool = False
    origin: str = ""
    hint: str = ""


def judge_eks_error(code: str, message: str) -> EksAnswer:
    """Return what an error of DescribeAddon says. Source: messages of the EKS API, which tools match too."""
    if code == "ResourceNotFoundException" and message.startswith("No addon: "):
        return EksAnswer(EksVerdict.NO_ADDON, message)
    if code == "ResourceNotFoundException" and message.startswith("No cluster found"):
        return EksAnswer(EksVerdict.NO_CLUSTER, message)
    return EksAnswer(EksVerdict.FAILED, f"{code}: {message}" if code else message)


def detect(eks: EksAnswer, sighting: Sighting, kubernetes_version: str = "") -> Detection:
    """Decide the type by the table above.

    Args:
        kubernetes_version: as the API server says it; clusters of EKS have ``-eks-`` in it. Empty: not known.

    Raises:
        CallerError: EKS knows no such cluster.
    """
    if eks.verdict is EksVerdict.NO_CLUSTER:
        raise CallerError(eks.reason, hint="check --cluster-name and --region")
    if eks.verdict is EksVerdict.FAILED:
        return Detection(
            AddonType.UNKNOWN, f"EKS did not say whether it manages the add-on: {eks.reason}", hint=_ASK_EKS
        )
    if eks.verdict is EksVerdict.HAS_ADDON:
        return _managed(sighting)
    if sighting.failure:
        return Detection(AddonType.UNKNOWN, sighting.failure, hint=_READ_DAEMON_SET)
    if eks.verdict is EksVerdict.NOT_ASKED:
        sign = _sign_of_eks(sighting.daemon_set, kubernetes_version)
        if sign:
            return Detection(AddonType.UNKNOWN, f"{sign}, and EKS was not asked", hint=_ASK_EKS)
    if sighting.daemon_set is None:
        return Detection(AddonType.ABSENT, f"there is no DaemonSet {AGENT}")
    how = eks.reason or "EKS was not asked, and nothing shows that the cluster is of EKS"
    return Detection(AddonType.SELF_MANAGED, how, origin=find_origin(sighting.daemon_set))


def _managed(sighting: Sighting) -> Detection:
    if sighting.daemon_set is None and not sighting.failure:
        return Detection(AddonType.MANAGED, f"EKS has the add-on, though there is no DaemonSet {AGENT}", broken=True)
    return Detection(AddonType.MANAGED, "EKS has the add-on")


def _sign_of_eks(daemon_set: Manifest | None, kubernetes_version: str) -> str:
    if "-eks-" in kubernetes_version:
        return f"this is a cluster of EKS ({kubernetes_version})"
    if not kubernetes_version:
        return "the version of the cluster is not known"
    if daemon_set is not None and _EKS_MANAGER in _managers(daemon_set):
        return f"fields of DaemonSet {AGENT} are managed by {_EKS_MANAGER!r}"
    return ""


def find_origin(daemon_set: Manifest) -> str:
    """Name the tool that seems to have made an installation; empty when nothing tells.

    The build in an image's tag proves nothing: copies that EKS puts into new clusters carry it too.
    """
    metadata = daemon_set.get("metadata", {})
    annotations, managers = metadata.get("annotations") or {}, _managers(daemon_set)
    if "meta.helm.sh/release-name" in annotations:
        return "Helm"
    if _EKS_MANAGER in managers:
        return "EKS, which managed it before"
    if FIELD_MANAGER in managers:
        return FIELD_MANAGER
    if "kubectl.kubernetes.io/last-applied-configuration" in annotations:
        return "kubectl apply"
    return ""


def _managers(daemon_set: Manifest) -> set[str]:
    return {str(each.get("manager", "")) for each in daemon_set.get("metadata", {}).get("managedFields") or ()}
