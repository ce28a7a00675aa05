"""Signature version 4, checked: which key signed a request, and whether it really did.

The signature is computed anew with botocore's canonical form over what arrived. Knows nothing of services or of where
keys are kept: ``vpc_cni.lab`` and ``vpc_cni.addons`` bring their own. Source: IAM user guide, "AWS Signature Version 4
for API requests".
"""

import calendar
import enum
import functools
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.compat import HTTPHeaders  # type: ignore[import-untyped]

ALGORITHM = "AWS4-HMAC-SHA256"
# A request may be that much older or newer than the clock.
SKEW_SECONDS = 300.0
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM}\s+Credential=([^/,]+)/(\d{{8}})/([^/,]+)/([^/,]+)/aws4_request,\s*"
    r"SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})\s*",
    re.ASCII,
)
# What may stand in a request's first line. Others would be cut or changed on the way to the canonical form, so that
# something else would be signed than what is served.
_TARGET = re.compile(r"[!\"$-~]*", re.ASCII)


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


class SignedRequest(Protocol):
    """What is signed. Header names are lower case; ``path`` is as sent, ``query`` what follows its question mark."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


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


def verify(request: SignedRequest, scope: Scope, secret_key: str, *, now: float) -> None:
    """Check that ``secret_key`` signed this request, all of it, not long ago.

    Args:
        scope: what the request's Authorization header says.
        now: seconds since the epoch.

    Raises:
        RefusedError: WRONG_SIGNATURE or REQUEST_TOO_OLD.
    """
    timestamp = request.headers.get("x-amz-date", "")
    if not timestamp.startswith(scope.date):
        raise RefusedError(Refusal.WRONG_SIGNATURE)
    if abs(now - _parse_timestamp(timestamp)) > SKEW_SECONDS:
        raise RefusedError(Refusal.REQUEST_TOO_OLD)
    if not _covers(request, scope) or not hmac.compare_digest(_sign(request, scope, secret_key), scope.signature):
        raise RefusedError(Refusal.WRONG_SIGNATURE)


def _covers(request: SignedRequest, scope: Scope) -> bool:
    """Tell whether the signature can be about the whole request, the body included."""
    if not {"host", "x-amz-date"} <= set(scope.signed_headers):
        return False
    claimed = request.headers.get("x-amz-content-sha256")
    if claimed is not None and claimed != hashlib.sha256(request.body).hexdigest():
        return False
    return bool(_TARGET.fullmatch(request.path) and _TARGET.fullmatch(request.query))


class _Signer(SigV4Auth):  # type: ignore[misc]
    """Signs exactly the headers that the client has signed: botocore would leave some of other clients' out."""

    def headers_to_sign(self, request: Any) -> Any:
        headers = HTTPHeaders()
        for name, value in request.headers.items():
            headers[name] = value
        return headers


def _sign(request: SignedRequest, scope: Scope, secret_key: str) -> str:
    """Return the signature that the request should carry."""
    query = f"?{request.query}" if request.query else ""
    signed = AWSRequest(
        method=request.method,
        # The host is a header among others; it is not looked at here.
        url=f"http://localhost{request.path}{query}",
        headers={name: request.headers.get(name, "") for name in scope.signed_headers},
        data=request.body,
    )
    signed.context["timestamp"] = request.headers["x-amz-date"]
    signer = _Signer(None, scope.service, scope.region)
    text: str = signer.string_to_sign(signed, signer.canonical_request(signed))
    key = _signing_key(secret_key, scope.date, scope.region, scope.service)
    return _mac(key, text).hex()


@functools.lru_cache(maxsize=128)
def _signing_key(secret_key: str, date: str, region: str, service: str) -> bytes:
    """Derive the key of one day, region and service; kept, since it is the same for every request of a day."""
    key = f"AWS4{secret_key}".encode()
    for part in (date, region, service, "aws4_request"):
        key = _mac(key, part)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _parse_timestamp(text: str) -> float:
    try:
        return float(calendar.timegm(time.strptime(text, "%Y%m%dT%H%M%SZ")))
    except ValueError:
        raise RefusedError(Refusal.WRONG_SIGNATURE) from None
