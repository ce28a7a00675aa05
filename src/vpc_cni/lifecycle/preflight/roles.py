"""Checks of the OpenID Connect provider and of a role's trust policy. Pure.

Source: Amazon EKS user guide, pages on IAM roles for service accounts and on pod identity.
"""

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vpc_cni.lifecycle.preflight.finding import Finding, failed, ok, skipped, warning
from vpc_cni.lifecycle.records import EksCluster

SUBJECT = "system:serviceaccount:kube-system:aws-node"
_AUDIENCE = "sts.amazonaws.com"
_WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
_POD_IDENTITY = "pods.eks.amazonaws.com"
_REMEDY = "docs: IAM roles for service accounts; the trust policy must name the cluster's provider and aws-node"


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenID Connect provider in IAM."""

    arn: str
    audiences: tuple[str, ...]


def provider_path(issuer: str) -> str:
    """Return what stands for an issuer in ARNs and condition keys: host and path, no scheme."""
    return issuer.partition("://")[2].rstrip("/")


def provider_arn(cluster: EksCluster) -> str:
    path = provider_path(cluster.issuer)
    return f"arn:{cluster.partition}:iam::{cluster.account_id}:oidc-provider/{path}"


def check_provider(cluster: EksCluster, provider: Provider | None) -> Finding:
    """Say whether IAM knows the cluster's issuer: that the cluster has one proves nothing."""
    if not cluster.issuer:
        return skipped("OIDC provider", "the cluster has no issuer", "use pod identity, or the node's role")
    create = f"eksctl utils associate-iam-oidc-provider --cluster {cluster.name} --approve"
    if provider is None:
        return failed("OIDC provider", f"IAM has no provider {provider_path(cluster.issuer)}", create)
    if _AUDIENCE not in provider.audiences:
        return failed(
            "OIDC provider",
            f"its audiences lack {_AUDIENCE}: {', '.join(provider.audiences) or 'none'}",
            f"aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {provider.arn} "
            f"--client-id {_AUDIENCE}",
        )
    return ok("OIDC provider", provider.arn)


def check_account(cluster: EksCluster, caller_account: str, role_arn: str) -> Finding:
    """Say whether caller, cluster and role are of one account: EKS passes no role of another."""
    accounts = {"caller": caller_account, "role": role_arn.split(":")[4] if role_arn.count(":") >= 5 else ""}
    others = [f"{who} {account}" for who, account in accounts.items() if account and account != cluster.account_id]
    if others:
        return failed(
            "accounts",
            f"cluster {cluster.account_id}, {', '.join(others)}",
            "use credentials and a role of its account",
        )
    return ok("accounts", cluster.account_id)


def check_trust(document: Mapping[str, Any], cluster: EksCluster) -> Finding:
    """Say whether a role lets the service account ``aws-node`` of this cluster, and nobody else, take it."""
    statements = [each for each in _listed(document.get("Statement")) if each.get("Effect") == "Allow"]
    if any(_POD_IDENTITY in _listed(_principal(each).get("Service")) for each in statements) and not any(
        _federated(each) for each in statements
    ):
        return warning("role trust", "it trusts pod identity only", "bind it by a pod identity association")
    problems = [_problems(each, cluster) for each in statements if _federated(each)]
    if not problems:
        return failed("role trust", "it trusts no OpenID Connect provider", _REMEDY)
    best = min(problems, key=len)
    if best:
        return failed("role trust", "; ".join(best), _REMEDY)
    if any(_is_open(each, cluster) for each in statements if not _problems(each, cluster)):
        return warning(
            "role trust", "other service accounts may take the role too", f"let StringEquals of sub be {SUBJECT}"
        )
    return ok("role trust", f"{SUBJECT} may take it")


def _problems(statement: Mapping[str, Any], cluster: EksCluster) -> list[str]:
    path, found = provider_path(cluster.issuer), []
    if provider_arn(cluster) not in _federated(statement):
        found.append(f"its provider is {', '.join(_federated(statement))}, the cluster's is {provider_arn(cluster)}")
    if not any(fnmatch.fnmatchcase(_WEB_IDENTITY, str(each)) for each in _listed(statement.get("Action"))):
        found.append(f"it does not allow {_WEB_IDENTITY}")
    for operator, key, values in _conditions(statement):
        name = key.rpartition(":")[2]
        if not key.startswith(f"{path}:"):
            found.append(f"its condition is about {key}, which is not of this issuer")
        elif name == "aud" and not _holds(operator, values, _AUDIENCE):
            found.append(f"its audience is {', '.join(values)}, not {_AUDIENCE}")
        elif name == "sub" and not _holds(operator, values, SUBJECT):
            found.append(f"its subject is {', '.join(values)}, not {SUBJECT}")
    return found


def _is_open(statement: Mapping[str, Any], cluster: EksCluster) -> bool:
    if not _federated(statement):
        return False
    key = f"{provider_path(cluster.issuer)}:sub"
    subjects = [(operator, values) for operator, name, values in _conditions(statement) if name == key]
    return not any(values == [SUBJECT] for _, values in subjects)


def _conditions(statement: Mapping[str, Any]) -> Iterable[tuple[str, str, list[str]]]:
    for operator, keys in (statement.get("Condition") or {}).items():
        for key, values in keys.items():
            yield str(operator), str(key), [str(each) for each in _listed(values)]


def _holds(operator: str, values: Iterable[str], actual: str) -> bool:
    """Whether a condition is true; of operators that compare no texts it is assumed."""
    if operator.endswith("StringEquals"):
        return actual in values
    if operator.endswith("StringLike"):
        return any(fnmatch.fnmatchcase(actual, each) for each in values)
    return True


def _federated(statement: Mapping[str, Any]) -> list[str]:
    return [str(each) for each in _listed(_principal(statement).get("Federated"))]


def _principal(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    found = statement.get("Principal")
    return found if isinstance(found, Mapping) else {}


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
