"""The exceptions of the EKS API, and what it says in each situation.

A class is an exception shape of the service model: its name on the wire, its HTTP status, and the members that its
body carries besides ``message`` (null when unused). A function is a situation; those marked "own words" are not known
from the real service. Programs match on parts of these texts: they stay as they are, byte for byte.
"""

from collections.abc import Mapping
from typing import ClassVar

from vpc_cni.addons.model import AddonStatus
from vpc_cni.errors import VpcCniError

_NAMES = ("clusterName", "nodegroupName", "addonName", "subscriptionId")


class ApiError(VpcCniError):
    """Root of these.

    Args:
        names: values of members, such as ``clusterName``; those that the shape has not are left out.
    """

    code: ClassVar[str] = "ServerException"
    members: ClassVar[tuple[str, ...]] = ()

    def __init__(self, message: str, **names: str | None) -> None:
        super().__init__(message)
        self.names: Mapping[str, str | None] = names

    def body(self, named: Mapping[str, str]) -> dict[str, str | None]:
        """Return the members of the answer; ``named`` is what the request's path names, for those not given here."""
        return {**{name: self.names.get(name, named.get(name)) for name in self.members}, "message": self.message}


class InvalidParameterError(ApiError):
    code = "InvalidParameterException"
    http_status = 400
    members = ("clusterName", "nodegroupName", "fargateProfileName", "addonName", "subscriptionId")


class InvalidRequestError(ApiError):
    code = "InvalidRequestException"
    http_status = 400
    members = _NAMES


class ClientError(ApiError):
    code = "ClientException"
    http_status = 400
    members = _NAMES


class BadRequestError(ApiError):
    """Of the operations on tags only."""

    code = "BadRequestException"
    http_status = 400


class AccessDeniedError(ApiError):
    code = "AccessDeniedException"
    http_status = 403


class ResourceNotFoundError(ApiError):
    code = "ResourceNotFoundException"
    http_status = 404
    members = ("clusterName", "nodegroupName", "fargateProfileName", "addonName", "subscriptionId")


class NotFoundError(ApiError):
    """Of the operations on tags only."""

    code = "NotFoundException"
    http_status = 404


class ResourceInUseError(ApiError):
    code = "ResourceInUseException"
    http_status = 409
    members = ("clusterName", "nodegroupName", "addonName")


class ServerError(ApiError):
    code = "ServerException"
    http_status = 500
    members = _NAMES


class ServiceUnavailableError(ApiError):
    code = "ServiceUnavailableException"
    http_status = 503


class MissingTokenError(ApiError):
    code = "MissingAuthenticationTokenException"
    http_status = 403


class UnrecognizedClientError(ApiError):
    code = "UnrecognizedClientException"
    http_status = 403


class InvalidSignatureError(ApiError):
    code = "InvalidSignatureException"
    http_status = 403


class UnknownOperationError(ApiError):
    code = "UnknownOperationException"
    http_status = 404


class EntityTooLargeError(ApiError):
    code = "RequestEntityTooLargeException"
    http_status = 413


class RequestTimeoutError(ApiError):
    code = "RequestTimeoutException"
    http_status = 408


# --- what is not there ------------------------------------------------------------------------------------------------


def no_cluster(cluster: str) -> ApiError:
    return ResourceNotFoundError(f"No cluster found for name: {cluster}.", clusterName=cluster)


def no_addon(addon: str, cluster: str) -> ApiError:
    message = f"No addon: {addon} found in cluster: {cluster}"
    return ResourceNotFoundError(message, clusterName=cluster, addonName=addon)


def no_update(update: str) -> ApiError:
    """Own words."""
    return ResourceNotFoundError(f"No update found for ID: {update}")


def no_node_group(name: str) -> ApiError:
    return ResourceNotFoundError(f"No node group found for name: {name}.", nodegroupName=name)


def no_profile(profile: str) -> ApiError:
    return ResourceNotFoundError(f"No Fargate Profile found with name: {profile}.", fargateProfileName=profile)


def no_association(association: str) -> ApiError:
    """Own words."""
    return ResourceNotFoundError(f"No pod identity association found for ID: {association}")


def no_tagged_resource(arn: str) -> ApiError:
    """Own words."""
    return NotFoundError(f"Resource not found: {arn}")


# --- what stands in the way -------------------------------------------------------------------------------------------


def addon_exists() -> ApiError:
    return ResourceInUseError("Addon already exists.")


def addon_not_updatable(addon: str, status: AddonStatus) -> ApiError:
    return ResourceInUseError(f"Addon {addon} cannot be updated as it is currently in {status} state")


def addon_not_deletable(addon: str, status: AddonStatus) -> ApiError:
    """Own words. The operation has no ResourceInUseException."""
    return InvalidRequestError(f"Addon {addon} cannot be deleted as it is currently in {status} state")


def association_exists(association: str) -> ApiError:
    return ResourceInUseError(f"Association already exists: {association}")


def association_owned(association: str, owner: str) -> ApiError:
    """Own words."""
    return InvalidRequestError(f"Association {association} is owned by {owner}: change it by updating that add-on")


def cluster_exists(cluster: str) -> ApiError:
    return ResourceInUseError(f"Cluster already exists with name: {cluster}")


def cluster_in_use(cluster: str, by: tuple[str, ...]) -> ApiError:
    """Own words."""
    return ResourceInUseError(f"Cluster {cluster} still has {', '.join(by)}")


def profile_exists() -> ApiError:
    return ResourceInUseError("A Fargate Profile already exists with this name in this cluster.")


def token_reused() -> ApiError:
    """Own words."""
    return InvalidRequestError("The client request token was used before, with other parameters")


def clusters_are_registered() -> ApiError:
    """Own words."""
    return ClientError("This service creates no clusters: register one with `vpc-cni addons register-cluster`")


def not_cancellable(update: str, status: str) -> ApiError:
    """Own words."""
    return InvalidRequestError(f"Update {update} cannot be cancelled as it is {status}")


# --- what is asked for and not offered --------------------------------------------------------------------------------


def addon_not_supported() -> ApiError:
    return InvalidParameterError("Addon specified is not supported")


def addon_not_offered(addon: str, kubernetes: str) -> ApiError:
    return InvalidParameterError(f"Addon {addon} specified is not supported in {kubernetes} kubernetes version")


def version_not_supported() -> ApiError:
    return InvalidParameterError("Addon version specified is not supported")


def minor_step_too_large() -> ApiError:
    return InvalidParameterError("Updating VPC-CNI can only go up or down 1 minor version at a time")


def cluster_step_too_large(current: str, wished: str) -> ApiError:
    return InvalidParameterError(f"Unsupported Kubernetes minor version update from {current} to {wished}")


def pod_identity_too_old(version: str) -> ApiError:
    return InvalidParameterError(f"Pod Identity feature is not supported for addon version: {version}")


def service_account_not_supported(service_account: str, addon: str) -> ApiError:
    return InvalidParameterError(
        f"Service account {service_account} in pod identity configuration is not supported for addon {addon}"
    )


def invalid_role(arn: str) -> ApiError:
    return InvalidParameterError(f"Invalid Role Arn: '{arn}'")


def cross_account_role() -> ApiError:
    return AccessDeniedError("Cross-account pass role is not allowed.")


def values_not_supported(problem: str) -> ApiError:
    """``problem`` follows the prefix that the real service has for every refusal of configuration values."""
    return InvalidParameterError(f"ConfigurationValue provided in request is not supported: {problem}")


# --- who asks ---------------------------------------------------------------------------------------------------------


def unsigned() -> ApiError:
    return MissingTokenError("Missing Authentication Token")


def unknown_key() -> ApiError:
    return UnrecognizedClientError("The security token included in the request is invalid.")


def wrong_signature() -> ApiError:
    return InvalidSignatureError(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details."
    )


def signature_expired(timestamp: str, bound: str, now: str) -> ApiError:
    return InvalidSignatureError(f"Signature expired: {timestamp} is now earlier than {bound} ({now} - 5 min.)")


def signature_not_yet_current(timestamp: str, bound: str, now: str) -> ApiError:
    return InvalidSignatureError(f"Signature not yet current: {timestamp} is still later than {bound} ({now} + 5 min.)")


def wrong_region(region: str) -> ApiError:
    return InvalidSignatureError(f"Credential should be scoped to a valid region, not '{region}'.")


def wrong_service(wanted: str) -> ApiError:
    return InvalidSignatureError(f"Credential should be scoped to correct service: '{wanted}'.")
