"""Who asks: the signature of a request, checked against the keys of the service."""

import time
from collections.abc import Mapping

from vpc_cni import sigv4
from vpc_cni.addons import errors
from vpc_cni.addons.api.service import Service
from vpc_cni.errors import InternalError
from vpc_cni.sigv4 import Refusal, RefusedError, Scope, SignedRequest

SERVICE_NAME = "eks"


def authenticate(request: SignedRequest, service: Service, now: float) -> str:
    """Return the id of the key that signed a request to this service in its region.

    Raises:
        ApiError: unsigned, an unknown key, another service or region, too old, or not what was signed.
    """
    scope, secret = read_claim(request.headers, service)
    try:
        sigv4.verify(request, scope, secret, now=now)
    except RefusedError as refused:
        raise _refusal(refused.reason, request, scope, now) from None
    return scope.access_key_id


def read_claim(headers: Mapping[str, str], service: Service) -> tuple[Scope, str]:
    """Return what a request's head claims to be signed with, and the secret of that key: nothing is proved by it.

    Raises:
        ApiError: unsigned, an unknown key, another service or region.
    """
    scope = sigv4.parse_authorization(headers.get("authorization", ""))
    if scope is None:
        raise errors.unsigned()
    secret = service.secret_of(scope.access_key_id)
    # A session's keys are none of ours.
    if secret is None or "x-amz-security-token" in headers:
        raise errors.unknown_key()
    if scope.service != SERVICE_NAME:
        raise errors.wrong_service(SERVICE_NAME)
    if scope.region != service.owner.region:
        raise errors.wrong_region(scope.region)
    return scope, secret


def _refusal(reason: Refusal, request: SignedRequest, scope: Scope, now: float) -> errors.ApiError:
    if reason is Refusal.WRONG_SIGNATURE:
        return errors.wrong_signature()
    if reason is not Refusal.REQUEST_TOO_OLD:
        raise InternalError(f"signature of {scope.access_key_id}: {reason}")
    timestamp = request.headers["x-amz-date"]
    if timestamp < _stamp(now):
        return errors.signature_expired(timestamp, _stamp(now - sigv4.SKEW_SECONDS), _stamp(now))
    return errors.signature_not_yet_current(timestamp, _stamp(now + sigv4.SKEW_SECONDS), _stamp(now))


def _stamp(seconds: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))
