"""EC2 and STS error codes: what each means for us. Pure.

Decisions branch on the code and never on the message, with one exception that EC2 leaves no way around:
``missing_interface_ids`` reads ids out of a message.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from vpc_cni.errors import AccessDeniedError, CloudError, NotFoundError, Shortage, ThrottledError

# Codes of our own, for requests without a readable answer.
UNREACHABLE = "Unreachable"  # nothing was sent: the service has not seen the request
OUTCOME_UNKNOWN = "OutcomeUnknown"  # sent, no answer: the service may have done it
MALFORMED = "MalformedResponse"  # answered, but not as the service would: may have done it
OWN_BUDGET = "OwnBudgetExhausted"  # the client-side budget has no token before the deadline
NO_CREDENTIALS = "NoCredentials"  # nothing was sent: there is nothing to sign with
STOPPING = "Stopping"  # the agent is going down
NO_CODE = "NoErrorCode"  # label for an error answer that names none

THROTTLE_CODES = frozenset(
    {
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "EC2ThrottledException",
        "TooManyRequestsException",
    }
)

DENIED_CODES = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "OptInRequired"})

# The service rejects the credentials themselves; fresh ones may help, once.
STALE_CREDENTIALS_CODES = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "RequestExpired",
        "UnrecognizedClientException",
    }
)

# The service broke; whether it did the work is open.
SERVER_CODES = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServiceError",
        "ServerInternal",
        "ServiceUnavailable",
        "Unavailable",
    }
)

# STS could not reach the identity provider; both are known to pass.
IDENTITY_PROVIDER_CODES = frozenset({"IDPCommunicationError", "InvalidIdentityToken"})

_GROWTH_SHORTAGES: Mapping[str, Shortage] = MappingProxyType(
    {
        "InsufficientFreeAddressesInSubnet": Shortage.SUBNET_FULL,
        "InsufficientCidrBlocks": Shortage.SUBNET_FULL,
        "AttachmentLimitExceeded": Shortage.ENI_LIMIT,
        "NetworkInterfaceLimitExceeded": Shortage.ENI_LIMIT,
        "PrivateIpAddressLimitExceeded": Shortage.ENI_LIMIT,
        NO_CREDENTIALS: Shortage.DENIED,
        STOPPING: Shortage.STOPPING,
    }
)

# EC2 quotes them: "The networkInterface ID 'eni-0123456789abcdef0' does not exist", or several, with commas.
_ENI_ID = re.compile(r"\beni-[0-9a-f]{8,17}\b")
_MESSAGE_LIMIT = 400


def shortage_of(error: CloudError) -> Shortage:
    """Say in one word why a growth call brought no address. Pure."""
    if isinstance(error, ThrottledError):
        return Shortage.THROTTLED
    if isinstance(error, AccessDeniedError):
        return Shortage.DENIED
    return _GROWTH_SHORTAGES.get(error.code, Shortage.EC2_FAILED)


def is_outcome_unknown(error: CloudError) -> bool:
    """Tell whether EC2 may have done what the failed call asked: read the state before repeating it. Pure."""
    return error.code in SERVER_CODES or error.code in (OUTCOME_UNKNOWN, MALFORMED)


def missing_interface_ids(error: NotFoundError) -> frozenset[str]:
    """Return the ENI ids that ``InvalidNetworkInterfaceID.NotFound`` names; empty for another code. Pure.

    The one place that reads a message: EC2 refuses a whole DescribeNetworkInterfaces for one id that is gone and
    says which only in the text.
    """
    if error.code != "InvalidNetworkInterfaceID.NotFound":
        return frozenset()
    return frozenset(_ENI_ID.findall(error.message))


def translate(operation: str, service: str, code: str, message: str, status: int) -> CloudError:
    """Turn an error answer into an exception of the tree. Pure.

    Args:
        service: IAM prefix, ``ec2`` or ``sts``, for the hint.
        code: the service's code; may be empty when the body was not readable.
        message: the service's text; cut to a bounded length (a denial carries kilobytes of encoded detail).
        status: HTTP status; decides only when the code is unknown.
    """
    text = f"{operation} failed: {code or f'HTTP {status}'}: {_short(message)}"
    if code in THROTTLE_CODES or (not code and status == 429):
        return ThrottledError(
            text,
            operation=operation,
            code=code or "Throttling",
            hint="the account's request budget is used up; calls slow down by themselves",
        )
    if code in DENIED_CODES:
        place = "the trust policy of that role" if service == "sts" else "the policy of the role in use"
        hint = f"allow {service}:{operation} in {place}"
        return AccessDeniedError(text, operation=operation, code=code, hint=hint)
    if code in STALE_CREDENTIALS_CODES or code == "SignatureDoesNotMatch":
        hint = "check the role's credentials and the clock of this machine"
        return AccessDeniedError(text, operation=operation, code=code, hint=hint)
    if code.endswith(".NotFound"):
        return NotFoundError(text, operation=operation, code=code)
    return CloudError(text, operation=operation, code=code, hint=_hint(code), retryable=_may_pass(code, status))


def _may_pass(code: str, status: int) -> bool:
    return code in SERVER_CODES or code in IDENTITY_PROVIDER_CODES or status >= 500


def _hint(code: str) -> str:
    match _GROWTH_SHORTAGES.get(code):
        case Shortage.SUBNET_FULL:
            return "the subnet has no free address; free some, run nodes in another subnet, or lower the warm targets"
        case Shortage.ENI_LIMIT:
            return "a limit of the instance type or of the account is reached"
        case _:
            return ""


def _short(message: str) -> str:
    flat = " ".join(message.split())
    return flat if len(flat) <= _MESSAGE_LIMIT else flat[:_MESSAGE_LIMIT] + "..."
