"""Container credentials: keys for pods by an endpoint on the node, as EKS Pod Identity has it.

A client sends the service account's token from AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE to
AWS_CONTAINER_CREDENTIALS_FULL_URI. Source: AWS SDKs and tools reference guide, "Container credential provider".
"""

import json
from typing import Any

from vpc_cni.lab.cloud.clock import iso8601_seconds
from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.identity.oidc import TokenExpiredError, TokenInvalidError, audiences_of
from vpc_cni.lab.cloud.identity.roles import Credentials
from vpc_cni.lab.cloud.query.request import HttpReply, HttpRequest

PATH = "/v1/credentials"
AUDIENCE = "pods.eks.amazonaws.com"
SESSION_SECONDS = 6 * 3600.0


class PodIdentity:
    """Answers container credential requests. ``associate`` says which role a subject gets."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._roles: dict[str, str] = {}

    def associate(self, subject: str, role_name: str) -> None:
        """Give ``system:serviceaccount:<namespace>:<name>`` a role from now on."""
        self._roles[subject] = role_name

    def handle(self, request: HttpRequest) -> HttpReply:
        token = request.headers.get("authorization", "")
        if not token:
            return _refuse(401, "AccessDeniedException", "Service account token cannot be empty")
        try:
            claims = self._cloud.providers.verify(token, self._cloud.clock())
        except TokenExpiredError:
            return _refuse(401, "ExpiredTokenException", "The service account token has expired")
        except TokenInvalidError as invalid:
            return _refuse(400, "InvalidTokenException", str(invalid))
        if AUDIENCE not in audiences_of(claims):
            return _refuse(400, "InvalidTokenException", f"Token audience must be {AUDIENCE}")
        return self._answer(str(claims["sub"]))

    def _answer(self, subject: str) -> HttpReply:
        role_name = self._roles.get(subject)
        if role_name is None:
            return _refuse(404, "ResourceNotFoundException", f"No pod identity association for {subject}")
        credentials = self._cloud.identities.issue(role_name, subject.rpartition(":")[2], SESSION_SECONDS)
        return _json(200, self._document(credentials))

    def _document(self, credentials: Credentials) -> dict[str, Any]:
        return {
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_key,
            "Token": credentials.token,
            "AccountId": self._cloud.settings.account_id,
            "Expiration": iso8601_seconds(credentials.expires_at or 0.0),
        }


def _refuse(status: int, code: str, message: str) -> HttpReply:
    return _json(status, {"code": code, "message": message})


def _json(status: int, document: dict[str, Any]) -> HttpReply:
    return HttpReply(status, json.dumps(document).encode(), "application/json")
