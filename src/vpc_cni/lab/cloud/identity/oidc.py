"""An OpenID Connect issuer for web identity, and the providers whose tokens the account trusts."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from vpc_cni.lab.cloud.clock import Clock

ALGORITHMS = ("ES256", "RS256")

# Time is checked by the caller's clock; who the token is for, by the role's trust.
_CHECKS: jwt.types.Options = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "require": ["exp", "sub", "aud"],
}


class TokenInvalidError(Exception):
    """A token is malformed, of an unknown provider, or not signed by it."""


class TokenExpiredError(Exception):
    """A token was good once. ``expired_at`` is unix seconds."""

    def __init__(self, expired_at: float) -> None:
        super().__init__(f"expired at {expired_at}")
        self.expired_at = expired_at


class OidcIssuer:
    """Signs tokens as a cluster's API server does for service accounts. The key lives as long as the object."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.url = url
        self._clock = clock
        self._key = ec.generate_private_key(ec.SECP256R1())

    def token(self, subject: str, audiences: Sequence[str], seconds: float, **claims: Any) -> str:
        """Return a token for ``subject``, for example ``system:serviceaccount:kube-system:aws-node``."""
        now = int(self._clock())
        body = {
            "iss": self.url,
            "sub": subject,
            "aud": list(audiences),
            "iat": now,
            "nbf": now,
            "exp": now + int(seconds),
            **claims,
        }
        return jwt.encode(body, self._key, algorithm="ES256", headers={"kid": "lab"})

    def jwks(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key Set."""
        numbers = self._key.public_key().public_numbers()
        key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "lab"}
        return {"keys": [key | {"x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}]}

    def discovery(self) -> dict[str, Any]:
        """Return the document served at ``/.well-known/openid-configuration``."""
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }


@dataclass(slots=True)
class OidcProviders:
    """Identity providers of the account: the keys of each issuer URL."""

    _keys: dict[str, jwt.PyJWKSet] = field(default_factory=dict)

    def add(self, issuer_url: str, jwks: Mapping[str, Any]) -> None:
        """Trust an issuer: the lab's own, or a real cluster's with the keys of its API server."""
        self._keys[issuer_url] = jwt.PyJWKSet.from_dict(dict(jwks))

    def verify(self, token: str, now: float) -> dict[str, Any]:
        """Return the claims of a well signed, living token.

        Raises:
            TokenInvalidError: malformed, of no known provider, or badly signed.
            TokenExpiredError: too late.
        """
        claims = self._verified_claims(token)
        if now >= float(claims["exp"]):
            raise TokenExpiredError(float(claims["exp"]))
        return claims

    def _verified_claims(self, token: str) -> dict[str, Any]:
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
            keys = self._keys.get(str(issuer))
            if keys is None:
                raise TokenInvalidError(f"No OpenIDConnect provider found in your account for {issuer}")
            key = keys[jwt.get_unverified_header(token).get("kid", "")]
            claims: dict[str, Any] = jwt.decode(token, key.key, algorithms=list(ALGORITHMS), options=_CHECKS)
        except (jwt.PyJWTError, KeyError) as error:
            raise TokenInvalidError(str(error)) from error
        return claims


def audiences_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ``aud`` claim as a tuple, whichever of its two forms it has. Pure."""
    audience = claims.get("aud", ())
    return (audience,) if isinstance(audience, str) else tuple(audience)


def _coordinate(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("=")
