"""Signature version 4, checked: which key signed a request, and whether it really did.

The signature is computed anew with botocore's signer over what arrived. Source: IAM user guide, "AWS Signature
Version 4 for API requests".
"""

import calendar
import enum
import hmac
import re
import time
from dataclasses import dataclass

from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials as BotocoreCredentials  # type: ignore[import-untyped]

from vpc_cni.lab.cloud.identity.roles import Credentials, Identities
from vpc_cni.lab.cloud.query.request import HttpRequest

ALGORITHM = "AWS4-HMAC-SHA256"
# A request may be that much older or newer than the clock.
SKEW_SECONDS = 300.0
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM}\s+Credential=([^/,]+)/(\d{{8}})/([^/,]+)/([^/,]+)/aws4_request,\s*"
    r"SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})\s*"
)


class Refusal(enum.Enum):
    """Why a request's identity was not accepted; each service has its own codes for these."""

    UNSIGNED = enum.auto()
    UNKNOWN_KEY = enum.auto()
    WRONG_SIGNATURE = enum.auto()
    REQUEST_TOO_OLD = enum.auto()
    SESSION_EXPIRED = enum.auto()


class RefusedError(Exception):
    """The request is not from whom it claims to be from."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.name)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Scope:
    """What an Authorization header says."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


def parse_authorization(text: str) -> Scope | None:
    """Read an Authorization header; None when it is not one of signature version 4. Pure."""
    match = _AUTHORIZATION.fullmatch(text)
    if match is None:
        return None
    key, date, region, service, headers, signature = match.groups()
    return Scope(key, date, region, service, tuple(headers.split(";")), signature)


def authenticate(
    request: HttpRequest, identities: Identities, *, service: str, region: str, now: float, verify: bool
) -> Credentials:
    """Return the keys that signed ``request``.

    Args:
        verify: check the signature; without, naming a known key is enough.

    Raises:
        RefusedError: unsigned, unknown or expired keys, another service or region, or a wrong signature.
    """
    scope = parse_authorization(request.headers.get("authorization", ""))
    if scope is None:
        raise RefusedError(Refusal.UNSIGNED)
    credentials = identities.find(scope.access_key_id)
    if credentials is None or scope.service != service or scope.region != region:
        raise RefusedError(Refusal.UNKNOWN_KEY)
    if credentials.token and request.headers.get("x-amz-security-token") != credentials.token:
        raise RefusedError(Refusal.UNKNOWN_KEY)
    if credentials.has_expired(now):
        raise RefusedError(Refusal.SESSION_EXPIRED)
    if verify:
        _verify(request, scope, credentials, now)
    return credentials


def _verify(request: HttpRequest, scope: Scope, credentials: Credentials, now: float) -> None:
    timestamp = request.headers.get("x-amz-date", "")
    if not timestamp.startswith(scope.date):
        raise RefusedError(Refusal.WRONG_SIGNATURE)
    if abs(now - _parse_timestamp(timestamp)) > SKEW_SECONDS:
        raise RefusedError(Refusal.REQUEST_TOO_OLD)
    if not {"host", "x-amz-date"} <= set(scope.signed_headers):
        raise RefusedError(Refusal.WRONG_SIGNATURE)
    if not hmac.compare_digest(_sign(request, scope, credentials, timestamp), scope.signature):
        raise RefusedError(Refusal.WRONG_SIGNATURE)


def _sign(request: HttpRequest, scope: Scope, credentials: Credentials, timestamp: str) -> str:
    """Return the signature that the request should carry."""
    query = f"?{request.query}" if request.query else ""
    signed = AWSRequest(
        method=request.method,
        url=f"http://{request.headers.get('host', '')}{request.path}{query}",
        headers={name: request.headers.get(name, "") for name in scope.signed_headers},
        data=request.body,
    )
    signed.context["timestamp"] = timestamp
    keys = BotocoreCredentials(credentials.access_key_id, credentials.secret_key, credentials.token or None)
    signer = SigV4Auth(keys, scope.service, scope.region)
    return str(signer.signature(signer.string_to_sign(signed, signer.canonical_request(signed)), signed))


def _parse_timestamp(text: str) -> float:
    try:
        return float(calendar.timegm(time.strptime(text, "%Y%m%dT%H%M%SZ")))
    except ValueError:
        raise RefusedError(Refusal.WRONG_SIGNATURE) from None
