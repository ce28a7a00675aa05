"""What the service knows: clusters, add-ons, updates, Fargate profiles, associations. Frozen values, no behaviour.

Names and values are those of the EKS API, ``eks/2017-11-01``. Times are seconds since the epoch. An absent text is
None where the API tells absent from empty, else empty.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


class AddonStatus(enum.StrEnum):
    CREATING = "CREATING"
    ACTIVE = "ACTIVE"
    CREATE_FAILED = "CREATE_FAILED"
    UPDATING = "UPDATING"
    DELETING = "DELETING"
    DELETE_FAILED = "DELETE_FAILED"
    DEGRADED = "DEGRADED"
    UPDATE_FAILED = "UPDATE_FAILED"


class UpdateStatus(enum.StrEnum):
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    SUCCESSFUL = "Successful"


class ConflictMode(enum.StrEnum):
    """``resolveConflicts``: what to do with live values that others own. Absent means NONE."""

    NONE = "NONE"
    OVERWRITE = "OVERWRITE"
    PRESERVE = "PRESERVE"


class IssueCode(enum.StrEnum):
    """Codes of health issues. The last three of them are no error codes of updates."""

    ACCESS_DENIED = "AccessDenied"
    CLUSTER_UNREACHABLE = "ClusterUnreachable"
    INSUFFICIENT_NUMBER_OF_REPLICAS = "InsufficientNumberOfReplicas"
    CONFIGURATION_CONFLICT = "ConfigurationConflict"
    ADMISSION_REQUEST_DENIED = "AdmissionRequestDenied"
    UNSUPPORTED_ADDON_MODIFICATION = "UnsupportedAddonModification"
    K8S_RESOURCE_NOT_FOUND = "K8sResourceNotFound"
    ADDON_SUBSCRIPTION_NEEDED = "AddonSubscriptionNeeded"
    ADDON_PERMISSION_FAILURE = "AddonPermissionFailure"
    INTERNAL_FAILURE = "InternalFailure"


@dataclass(frozen=True, slots=True)
class Issue:
    """One entry of ``health.issues``, or of an update's ``errors``."""

    code: IssueCode
    message: str
    resource_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose things these are: the account, region and partition in every ARN."""

    account_id: str
    region: str
    partition: str = "aws"


@dataclass(frozen=True, slots=True)
class Network:
    """Networking of a cluster. ``family`` is ``ipv4`` or ``ipv6``; it never changes."""

    family: str = "ipv4"
    service_cidr: str = "172.20.0.0/16"
    vpc_id: str = ""
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """A registered cluster. What the service logs in with is kept apart from it: see ``credentials``.

    Attributes:
        version: its Kubernetes minor version as EKS writes it, such as ``1.29``.
        certificate_authority: PEM of the API server's CA, base64 as in the EKS API.
        issuer: its OpenID Connect issuer's URL; empty when it has none.
    """

    name: str
    uid: str
    version: str
    endpoint: str
    certificate_authority: str
    created_at: float
    platform_version: str = "eks.1"
    role_arn: str = ""
    status: str = "ACTIVE"
    issuer: str = ""
    network: Network = Network()
    tags: Mapping[str, str] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class AddonRecord:
    """An add-on of a cluster as DescribeAddon shows it.

    Attributes:
        uid: last part of its ARN.
        version: what was last asked for, resolved; shown from the moment of the request on.
        configuration_values: the very text that was sent; None when none ever was.
        associations: ids of the pod identity associations that it owns, ascending.
    """

    cluster: str
    name: str
    uid: str
    version: str
    status: AddonStatus
    created_at: float
    modified_at: float
    role_arn: str | None = None
    configuration_values: str | None = None
    issues: tuple[Issue, ...] = ()
    associations: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class UpdateRecord:
    """One update. ``params`` are (type, value) in the order of the API, only those that were given."""

    id: str
    cluster: str
    addon: str | None
    type: str
    status: UpdateStatus
    created_at: float
    params: tuple[tuple[str, str], ...] = ()
    errors: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Association:
    """A pod identity association: the role of a service account's pods. ``owner`` is an add-on's ARN or empty."""

    id: str
    cluster: str
    namespace: str
    service_account: str
    role_arn: str
    created_at: float
    modified_at: float
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class FargateSelector:
    namespace: str
    labels: Mapping[str, str] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class FargateProfile:
    name: str
    cluster: str
    uid: str
    pod_execution_role_arn: str
    subnets: tuple[str, ...]
    selectors: tuple[FargateSelector, ...]
    status: str
    created_at: float
    tags: Mapping[str, str] = field(default_factory=_nothing)


class OperationKind(enum.StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Operation:
    """Work that a request left behind: written in the same transaction as the answer's record, gone when it ended.

    Attributes:
        update_id: of an UPDATE; empty otherwise.
        previous_version: what the cluster may still hold objects of; empty for CREATE.
        preserve: of a DELETE: leave the objects in the cluster.
        deadline: when waiting for the roll-out ends; 0 until the objects are applied.
    """

    id: str
    cluster: str
    addon: str
    kind: OperationKind
    version: str
    created_at: float
    previous_version: str = ""
    role_arn: str | None = None
    configuration_values: str | None = None
    mode: ConflictMode = ConflictMode.NONE
    update_id: str = ""
    preserve: bool = False
    deadline: float = 0.0


@dataclass(frozen=True, slots=True)
class Desired:
    """What an add-on should be in a cluster: input of the renderer."""

    version: str
    configuration_values: str | None
    role_arn: str | None
    kubernetes_version: str
    ip_family: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of an installation or removal.

    Attributes:
        issues: what stood in the way; empty: the objects are as asked for.
    """

    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """How the add-on is in a cluster. ``ready``: rolled out, all pods available. ``issues``: what is wrong now."""

    ready: bool
    issues: tuple[Issue, ...] = ()
