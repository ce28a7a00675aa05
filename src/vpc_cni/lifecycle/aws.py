"""Clients of AWS, and their errors as those of the one exception tree. The only user of boto3 here."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)

from vpc_cni.errors import (
    AccessDeniedError,
    CallerError,
    CloudError,
    ConfigurationError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    VpcCniError,
)

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_CALLER_CODES = frozenset(
    {
        "InvalidParameterException",
        "InvalidRequestException",
        "ClientException",
        "BadRequestException",
        "ValidationError",
    }
)
_NOT_FOUND_CODES = frozenset({"ResourceNotFoundException", "NotFoundException", "NoSuchEntity"})
_DENIED_CODES = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "ExpiredTokenException",
        "MissingAuthenticationTokenException",
    }
)
_THROTTLED_CODES = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"})


@dataclass(frozen=True, slots=True)
class AwsAccess:
    """Where AWS is reached and as whom; empty for what the AWS configuration says.

    ``eks_endpoint_url`` is for EKS alone: ``AWS_ENDPOINT_URL_IAM`` and ``AWS_ENDPOINT_URL_STS`` do that for the others.
    """

    region: str = ""
    profile: str = ""
    eks_endpoint_url: str = ""


def open_client(service: str, access: AwsAccess) -> Any:
    """Return a client of a service; nothing is sent.

    Raises:
        ConfigurationError: no region or profile is configured.
    """
    endpoint = access.eks_endpoint_url if service == "eks" else ""
    with translated(f"open a client of {service}", ""):
        session = boto3.Session(region_name=access.region or None, profile_name=access.profile or None)
        return session.client(
            service,
            endpoint_url=endpoint or None,
            config=Config(connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS),
        )


@contextmanager
def translated(what: str, operation: str) -> Iterator[None]:
    """Run calls whose failures come out as errors of ours: ``cannot {what}: ...``.

    Raises:
        NotFoundError, AccessDeniedError, ThrottledError, CloudError: what the service said.
        CallerError: it does not take the parameters.
        RefusedError: the resource is in use, such as an add-on that is being updated.
        ConfigurationError: there are no credentials, or no region.
    """
    try:
        yield
    except ClientError as err:
        error = err.response.get("Error", {})
        raise _error_of(what, operation, str(error.get("Code", "")), str(error.get("Message", ""))) from err
    except ParamValidationError as err:
        raise CallerError(f"cannot {what}: {err}") from err
    except (NoCredentialsError, PartialCredentialsError) as err:
        raise ConfigurationError(
            f"cannot {what}: {err}", hint="log in to AWS, or set AWS_PROFILE or AWS_ACCESS_KEY_ID"
        ) from err
    except (NoRegionError, ProfileNotFound) as err:
        raise ConfigurationError(f"cannot {what}: {err}", hint="give --region and --profile") from err
    except (BotoCoreError, ValueError) as err:
        raise CloudError(
            f"cannot {what}: {err}", operation=operation, hint="check --region, --endpoint-url and the way there"
        ) from err


def _error_of(what: str, operation: str, code: str, message: str) -> VpcCniError:
    text = f"cannot {what}: {code}: {message}"
    if code == "ResourceInUseException":
        return RefusedError(text, hint="wait until what is under way has ended, then try again")
    if code in _CALLER_CODES:
        return CallerError(text)
    if code in _NOT_FOUND_CODES:
        return NotFoundError(text, operation=operation, code=code)
    if code in _DENIED_CODES:
        return AccessDeniedError(
            text, operation=operation, code=code, hint="use credentials that are valid here and may do that"
        )
    kind = ThrottledError if code in _THROTTLED_CODES else CloudError
    return kind(text, operation=operation, code=code)
