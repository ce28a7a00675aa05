"""IAM and STS as preflight sees them: providers, roles and their policies, by plain values. Blocking; thin."""

from collections.abc import Iterator, Mapping
from typing import Any

from vpc_cni.errors import NotFoundError
from vpc_cni.lifecycle.aws import AwsAccess, open_client, translated
from vpc_cni.lifecycle.preflight.roles import Provider


class Iam:
    """Every call raises what :func:`~vpc_cni.lifecycle.aws.translated` does."""

    def __init__(self, access: AwsAccess) -> None:
        self._iam = open_client("iam", access)
        self._sts = open_client("sts", access)

    def caller_account(self) -> str:
        with translated("ask who calls", "GetCallerIdentity"):
            return str(self._sts.get_caller_identity()["Account"])

    def find_provider(self, arn: str) -> Provider | None:
        """Return an OpenID Connect provider; None when IAM has none of that ARN."""
        with translated("list OpenID Connect providers", "ListOpenIDConnectProviders"):
            known = [each["Arn"] for each in self._iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]]
        if arn not in known:
            return None
        with translated("read an OpenID Connect provider", "GetOpenIDConnectProvider"):
            answer = self._iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
        return Provider(arn, tuple(answer.get("ClientIDList") or ()))

    def find_trust(self, role: str) -> Mapping[str, Any] | None:
        """Return a role's trust policy; None when there is no such role."""
        try:
            with translated(f"read role {role}", "GetRole"):
                return dict(self._iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"])
        except NotFoundError:
            return None

    def find_boundary(self, role: str) -> Mapping[str, Any] | None:
        """Return the document of a role's permissions boundary; None when it has none."""
        with translated(f"read the permissions boundary of role {role}", "GetPolicyVersion"):
            boundary = self._iam.get_role(RoleName=role)["Role"].get("PermissionsBoundary")
            return self._document(boundary["PermissionsBoundaryArn"]) if boundary else None

    def documents(self, role: str) -> tuple[Mapping[str, Any], ...]:
        """Return the documents of all policies of a role, inline and attached."""
        return (*self._inline(role), *self._attached(role))

    def _inline(self, role: str) -> Iterator[Mapping[str, Any]]:
        with translated(f"read policies of role {role}", "GetRolePolicy"):
            for page in self._iam.get_paginator("list_role_policies").paginate(RoleName=role):
                for name in page["PolicyNames"]:
                    yield self._iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]

    def _attached(self, role: str) -> Iterator[Mapping[str, Any]]:
        with translated(f"read policies attached to role {role}", "GetPolicyVersion"):
            for page in self._iam.get_paginator("list_attached_role_policies").paginate(RoleName=role):
                for attached in page["AttachedPolicies"]:
                    yield self._document(attached["PolicyArn"])

    def _document(self, arn: str) -> Mapping[str, Any]:
        version = self._iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        return dict(self._iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])


def role_name(arn: str) -> str:
    """Return a role's name from its ARN, which may have a path. Pure."""
    return arn.rpartition("/")[2]
