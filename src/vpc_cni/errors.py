"""The one exception tree.

Each class says whose fault a failure is; each error carries what a process border needs to report it: a CNI
code, an HTTP status, whether trying again can help, and a hint that says what to do now. Process borders (the
plugin server, the command line, HTTP handlers) print errors; nothing in between formats output.

    VpcCniError
    +-- ConfigurationError      a setting or the network configuration is wrong
    +-- CallerError             a request is malformed or names something that does not exist
    +-- HostError               a file, socket or program on this machine is missing or refused
    +-- CloudError              EC2, instance metadata or STS failed
    |   +-- AccessDeniedError
    |   +-- ThrottledError
    |   +-- NotFoundError
    +-- KubernetesError         the Kubernetes API server refused, or was not reached
    |   +-- KubernetesDeniedError
    |   +-- KubernetesNotFoundError
    |   +-- KubernetesConflictError
    |   +-- KubernetesExpiredError
    |   +-- KubernetesThrottledError
    |   +-- KubernetesUnreachableError
    +-- LifecycleError          an installation cannot be changed, or did not become what was asked for
    |   +-- RefusedError
    |   +-- FieldConflictError
    |   +-- OperationFailedError
    |   +-- RolloutError
    |   +-- RolloutTimeoutError
    |   +-- UnknownTypeError
    |   +-- DeviationError
    +-- CapacityError           no address can be handed out (carries a Shortage)
    +-- KernelError             netlink or nftables refused an operation (carries errno)
    +-- InternalError           a bug of ours
"""

import enum
from typing import ClassVar


class CniCode(enum.IntEnum):
    """Error codes of the CNI specification, and our own from 100 on.

    Source: containernetworking/cni SPEC.md, section "Error"; docs/errors.md lists ours.
    """

    INCOMPATIBLE_VERSION = 1
    UNSUPPORTED_FIELD = 2
    UNKNOWN_CONTAINER = 3
    INVALID_ENVIRONMENT = 4
    IO_FAILURE = 5
    DECODING_FAILURE = 6
    INVALID_NETWORK_CONFIG = 7
    TRY_AGAIN_LATER = 11
    PLUGIN_NOT_AVAILABLE = 50
    PLUGIN_NOT_AVAILABLE_LIMITED = 51
    INTERNAL = 100
    KERNEL = 101
    CLOUD = 102
    NOT_AS_CONFIGURED = 103


class Shortage(enum.StrEnum):
    """Why an address cannot be handed out now: the label of events, metrics and messages."""

    SUBNET_FULL = "SubnetFull"
    ENI_LIMIT = "EniLimit"
    MAX_PODS = "MaxPods"
    THROTTLED = "Throttled"
    DENIED = "Denied"
    EC2_FAILED = "Ec2Failed"
    COOLING = "Cooling"
    PROVISIONING_OFF = "ProvisioningOff"
    WAITERS_FULL = "WaitersFull"
    TIMED_OUT = "TimedOut"
    WITHDRAWN = "Withdrawn"
    STOPPING = "Stopping"


class VpcCniError(Exception):
    """Root of all errors that this project raises on purpose.

    Args:
        message: what failed, with identifiers, and the likely cause.
        hint: what to do now; empty when the message already says so.
        retryable: overrides the default of the class.
        cni_code: overrides the default of the class.
    """

    cni_code: CniCode = CniCode.INTERNAL
    retryable: bool = False
    http_status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        retryable: bool | None = None,
        cni_code: CniCode | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if retryable is not None:
            self.retryable = retryable
        if cni_code is not None:
            self.cni_code = cni_code

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


class ConfigurationError(VpcCniError):
    """A setting or the network configuration is wrong; the operator must change it."""

    cni_code = CniCode.INVALID_NETWORK_CONFIG
    http_status = 400


class CallerError(VpcCniError):
    """A request is malformed; the caller must change it."""

    cni_code = CniCode.INVALID_ENVIRONMENT
    http_status = 400


class HostError(VpcCniError):
    """A file, socket or program on this machine is missing, broken or refused."""

    cni_code = CniCode.IO_FAILURE


class CloudError(VpcCniError):
    """EC2, instance metadata or STS failed.

    Args:
        code: the service's error code, for example ``InsufficientFreeAddressesInSubnet``; empty when the
            service was not reached.
        operation: the API operation, for example ``CreateNetworkInterface``.
    """

    cni_code = CniCode.CLOUD
    retryable = True
    http_status = 502

    def __init__(
        self,
        message: str,
        *,
        operation: str,
        code: str = "",
        hint: str = "",
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, hint=hint, retryable=retryable)
        self.operation = operation
        self.code = code


class AccessDeniedError(CloudError):
    """The role in use lacks a permission; ``hint`` names the IAM action."""

    retryable = False
    http_status = 403


class ThrottledError(CloudError):
    """The service asked for fewer calls."""

    http_status = 429


class NotFoundError(CloudError):
    """The service does not know the resource (any more)."""

    retryable = False
    http_status = 404


class KubernetesError(VpcCniError):
    """The Kubernetes API server refused a request, or was not reached.

    Args:
        status: HTTP status; 0 when there was no answer.
        reason: the server's machine-readable reason, for example ``AlreadyExists``; ours when there was no answer.
        retry_after_seconds: how long the server asks to be left alone; 0 when it does not say.
        said: the server's own words; empty when they are not known.
    """

    cni_code = CniCode.TRY_AGAIN_LATER
    retryable = True
    http_status = 502

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        retry_after_seconds: float = 0.0,
        said: str = "",
        hint: str = "",
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, hint=hint, retryable=retryable)
        self.status = status
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.said = said


class KubernetesDeniedError(KubernetesError):
    """The service account is not known or lacks a permission; ``hint`` names verb and resource."""

    retryable = False
    http_status = 403


class KubernetesNotFoundError(KubernetesError):
    """The object does not exist (any more)."""

    retryable = False
    http_status = 404


class KubernetesConflictError(KubernetesError):
    """The object exists already, or is not the one that was meant."""

    retryable = False
    http_status = 409


class KubernetesExpiredError(KubernetesError):
    """The server no longer knows the moment from which a list or watch shall go on; list again."""

    http_status = 410


class KubernetesThrottledError(KubernetesError):
    """The server asked for fewer requests."""

    http_status = 429


class KubernetesUnreachableError(KubernetesError):
    """No connection, no trust, or no answer in time."""


class LifecycleError(VpcCniError):
    """An installation of the add-on cannot be changed, or did not become what was asked for."""

    http_status = 409


class RefusedError(LifecycleError):
    """A check said no before anything was changed."""


class FieldConflictError(LifecycleError):
    """Other field managers own fields that would change; nothing was changed."""


class OperationFailedError(LifecycleError):
    """EKS gave a change up; nothing of it was applied, or a part."""


class RolloutError(LifecycleError):
    """The objects were changed, and pods of the new version do not run."""


class RolloutTimeoutError(LifecycleError):
    """The objects were changed, and the roll-out had not ended at its deadline; it goes on."""

    retryable = True


class UnknownTypeError(LifecycleError):
    """Nobody could say whether EKS manages the add-on, so nothing may be changed."""


class DeviationError(LifecycleError):
    """An installation was looked at and is not what it was compared with."""


class CapacityError(VpcCniError):
    """No address can be handed out now; trying again later may help."""

    cni_code = CniCode.TRY_AGAIN_LATER
    retryable = True
    http_status = 503

    def __init__(self, message: str, *, shortage: Shortage, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.shortage = shortage


class KernelError(VpcCniError):
    """The kernel refused an operation.

    Args:
        errno: positive errno value.
    """

    cni_code = CniCode.KERNEL

    def __init__(self, message: str, *, errno: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.errno = errno


class InternalError(VpcCniError):
    """A bug of ours: an invariant does not hold."""
