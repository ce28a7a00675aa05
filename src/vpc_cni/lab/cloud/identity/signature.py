"""Whose keys signed a request to the lab's cloud: keys that last, or a role's session."""

from vpc_cni.lab.cloud.identity.roles import Credentials, Identities
from vpc_cni.lab.cloud.query.request import HttpRequest
from vpc_cni.sigv4 import Refusal, RefusedError, parse_authorization
from vpc_cni.sigv4 import verify as verify_signature


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
        verify_signature(request, scope, credentials.secret_key, now=now)
    return credentials
