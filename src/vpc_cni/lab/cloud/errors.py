"""EC2's errors, one function each, with the codes and messages that EC2 itself sends.

State modules raise them directly: what is wrong with a request is a property of the cloud, not of HTTP.
Source of codes: "Error codes for the Amazon EC2 API"; the messages are those that callers see in practice.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

from vpc_cni.errors import CallerError


class CloudApiError(CallerError):
    """An answer other than success. ``status`` is the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


# --- the caller ---------------------------------------------------------------------------------------------------


def missing_authentication() -> CloudApiError:
    return CloudApiError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)


def auth_failure() -> CloudApiError:
    return CloudApiError("AuthFailure", "AWS was not able to validate the provided access credentials", 401)


def signature_mismatch() -> CloudApiError:
    return CloudApiError(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details.",
        403,
    )


def request_expired() -> CloudApiError:
    return CloudApiError("RequestExpired", "Request has expired.")


def unauthorized(caller_arn: str, action: str, encoded: str) -> CloudApiError:
    return CloudApiError(
        "UnauthorizedOperation",
        f"You are not authorized to perform this operation. User: {caller_arn} is not authorized to perform: {action} "
        f"because no identity-based policy allows the {action} action. "
        f"Encoded authorization failure message: {encoded}",
        403,
    )


def request_limit_exceeded() -> CloudApiError:
    return CloudApiError("RequestLimitExceeded", "Request limit exceeded.", 503)


# --- the request --------------------------------------------------------------------------------------------------


def invalid_action(action: str) -> CloudApiError:
    return CloudApiError("InvalidAction", f"The action {action} is not valid for this web service.")


def dry_run() -> CloudApiError:
    return CloudApiError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


def missing_parameter(name: str) -> CloudApiError:
    return CloudApiError("MissingParameter", f"The request must contain the parameter {name}")


def unknown_parameter(name: str) -> CloudApiError:
    return CloudApiError("UnknownParameter", f"The parameter {name} is not recognized")


def invalid_value(message: str) -> CloudApiError:
    return CloudApiError("InvalidParameterValue", message)


def invalid_combination(message: str) -> CloudApiError:
    return CloudApiError("InvalidParameterCombination", message)


def idempotent_mismatch() -> CloudApiError:
    return CloudApiError(
        "IdempotentParameterMismatch",
        "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
    )


def not_permitted(message: str) -> CloudApiError:
    return CloudApiError("OperationNotPermitted", message)


# --- resources that do not exist ----------------------------------------------------------------------------------


def eni_not_found(eni_id: str) -> CloudApiError:
    return CloudApiError("InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{eni_id}' does not exist")


def attachment_not_found(attachment_id: str) -> CloudApiError:
    return CloudApiError("InvalidAttachmentID.NotFound", f"The attachment ID '{attachment_id}' does not exist")


def instance_not_found(instance_ids: Sequence[str]) -> CloudApiError:
    if len(instance_ids) == 1:
        return CloudApiError("InvalidInstanceID.NotFound", f"The instance ID '{instance_ids[0]}' does not exist")
    return CloudApiError("InvalidInstanceID.NotFound", f"The instance IDs '{', '.join(instance_ids)}' do not exist")


def subnet_not_found(subnet_id: str) -> CloudApiError:
    return CloudApiError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")


def vpc_not_found(vpc_id: str) -> CloudApiError:
    return CloudApiError("InvalidVpcID.NotFound", f"The vpc ID '{vpc_id}' does not exist")


def group_not_found(group_id: str) -> CloudApiError:
    return CloudApiError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")


def reservation_not_found(reservation_id: str) -> CloudApiError:
    return CloudApiError(
        "InvalidSubnetCidrReservationID.NotFound",
        f"The subnet CIDR reservation ID '{reservation_id}' does not exist",
    )


def resource_not_found(resource_id: str) -> CloudApiError:
    return CloudApiError("InvalidID", f"The ID '{resource_id}' is not valid")


def instance_type_invalid(names: Sequence[str]) -> CloudApiError:
    return CloudApiError(
        "InvalidInstanceType", f"The following supplied instance types do not exist: [{', '.join(sorted(names))}]"
    )


# --- addresses ----------------------------------------------------------------------------------------------------


def subnet_full() -> CloudApiError:
    return CloudApiError(
        "InsufficientFreeAddressesInSubnet",
        "The specified subnet does not have enough free addresses to satisfy the request.",
    )


def no_free_block() -> CloudApiError:
    return CloudApiError(
        "InsufficientCidrBlocks",
        "The specified subnet does not have enough free cidr blocks to satisfy the request.",
    )


def too_few_for_prefixes() -> CloudApiError:
    """Of CreateNetworkInterface with prefixes, in a subnet with fewer free addresses than they need.

    A subnet with enough free addresses but no free block gives ``no_free_block`` there too. Source: cilium pull
    request 31016, which quotes EC2's support.
    """
    return invalid_value("There aren't sufficient free Ipv4 addresses or prefixes")


def address_limit() -> CloudApiError:
    return CloudApiError("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")


def ipv6_limit() -> CloudApiError:
    return CloudApiError("Ipv6AddressLimitExceeded", "Number of IPv6 addresses will exceed limit.")


def outside_subnet() -> CloudApiError:
    return invalid_value("Address does not fall within the subnet's address range")


def reserved_address() -> CloudApiError:
    return invalid_value("Address is in subnet's reserved address range")


def address_in_use(text: str) -> CloudApiError:
    return CloudApiError("InvalidIPAddress.InUse", f"Address {text} is in use.")


def not_moved(texts: Sequence[str]) -> CloudApiError:
    return invalid_value(f"[{', '.join(texts)}] is assigned, but move is not allowed")


def not_assigned(eni_id: str) -> CloudApiError:
    return invalid_value(f"Some of the specified addresses are not assigned to interface {eni_id}")


def unaligned_prefix(prefix: str, length: int) -> CloudApiError:
    return invalid_value(f"Invalid prefix {prefix}: expected a block of length /{length}")


# --- networks -----------------------------------------------------------------------------------------------------


def cidr_invalid(kind: str, cidr: IPv4Network | IPv6Network | str) -> CloudApiError:
    """``kind`` is ``Vpc``, ``Subnet`` ..."""
    return CloudApiError(f"Invalid{kind}.Range", f"The CIDR '{cidr}' is invalid.")


def cidr_conflict(cidr: IPv4Network | IPv6Network) -> CloudApiError:
    return CloudApiError("InvalidSubnet.Conflict", f"The CIDR '{cidr}' conflicts with another subnet")


def reservation_conflict(cidr: IPv4Network | IPv6Network) -> CloudApiError:
    return CloudApiError(
        "InvalidCidrReservation.Conflict", f"The CIDR '{cidr}' conflicts with another subnet CIDR reservation"
    )


def duplicate_group(name: str, vpc_id: str) -> CloudApiError:
    return CloudApiError("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'")


def has_dependencies(kind: str, resource_id: str) -> CloudApiError:
    return CloudApiError("DependencyViolation", f"The {kind} '{resource_id}' has dependencies and cannot be deleted.")


def group_in_use(group_id: str) -> CloudApiError:
    return CloudApiError("DependencyViolation", f"resource {group_id} has a dependent object")


# --- attachments --------------------------------------------------------------------------------------------------


def eni_attached_elsewhere(eni_id: str) -> CloudApiError:
    """Of calls that would attach an ENI."""
    return CloudApiError("InvalidNetworkInterface.InUse", f"Interface: [{eni_id}] in use.")


def eni_in_use(eni_id: str) -> CloudApiError:
    """Of DeleteNetworkInterface."""
    return invalid_value(f"Network interface '{eni_id}' is currently in use.")


def too_many_instances(count: int, limit: int) -> CloudApiError:
    return CloudApiError(
        "InstanceLimitExceeded",
        f"You have requested more instances ({count}) than your current instance limit of {limit} allows.",
    )


def attachment_limit(count: int, instance_type: str) -> CloudApiError:
    return CloudApiError("AttachmentLimitExceeded", f"Interface count {count} exceeds the limit for {instance_type}")


def device_index_taken(instance_id: str, device_index: int) -> CloudApiError:
    return invalid_value(
        f"Instance '{instance_id}' already has an interface attached at device index '{device_index}'."
    )


def primary_not_detachable(device_index: int, card_index: int) -> CloudApiError:
    return not_permitted(
        f"The network interface at device index {device_index} and networkCard index {card_index} cannot be detached."
    )


def wrong_instance_state(instance_id: str) -> CloudApiError:
    return CloudApiError(
        "IncorrectInstanceState", f"The instance '{instance_id}' is not in a valid state for this operation."
    )


def wrong_zone() -> CloudApiError:
    return invalid_combination(
        "You may not attach a network interface to an instance if they are not in the same availability zone"
    )
