"""Checks of the OpenID Connect provider and of a role's trust policy. Pure.

Source: Amazon EKS user guide, pages on IAM roles for service accounts and on pod identity.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vpc_cni.lifecycle.preflight.evaluation import (
    ANY_RESOURCE,
    Verdict,
    concerns,
    decide,
    describe_condition,
    listed,
    matches,
    name_decisions,
)
from vpc_cni.lifecycle.preflight.finding import Finding, Level, failed, ok, skipped, warning
from vpc_cni.lifecycle.records import EksCluster

SUBJECT = "system:serviceaccount:kube-system:aws-node"
_AUDIENCE = "sts.amazonaws.com"
_WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
_POD_IDENTITY = "pods.eks.amazonaws.com"
_POD_IDENTITY_ACTIONS = ("sts:AssumeRole", "sts:TagSession")
# Of the request, not of the token: their values are known at the call only.
_REQUEST_KEYS = ("aws:", "sts:")
_CHECK = "role trust"
_HOLD = "see that they hold for calls from the nodes"
_BINDING = "bind it by a pod identity association"
_REMEDY = "docs: IAM roles for service accounts; the trust policy must name the cluster's provider and aws-node"


# Those that compare texts: whether an actual one meets those of a condition.
_OPERATORS: Mapping[str, Callable[[str, Iterable[str]], bool]] = {
    "StringEquals": lambda actual, values: actual in values,
    "StringNotEquals": lambda actual, values: actual not in values,
    "StringEqualsIgnoreCase": lambda actual, values: actual.lower() in [each.lower() for each in values],
    "StringLike": lambda actual, values: any(matches(each, actual) for each in values),
    "StringNotLike": lambda actual, values: not any(matches(each, actual) for each in values),
}


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
    statements = listed(document.get("Statement"))
    allowing = [each for each in statements if each.get("Effect") == "Allow"]
    federated = [each for each in allowing if _federated(each)]
    if not federated and any(_serves_pods(each) for each in allowing):
        found = check_pod_trust(document)
        return found if found.level is not Level.OK else warning(_CHECK, f"{found.detail} only", _BINDING)
    if not federated:
        return failed(_CHECK, "it trusts no OpenID Connect provider", _REMEDY)
    best = min((_problems(each, cluster) for each in federated), key=len)
    if best:
        return failed(_CHECK, "; ".join(best), _REMEDY)
    denials = [each for each in statements if each.get("Effect") == "Deny" and _denies(each, cluster)]
    if any(not _doubts(each, cluster) for each in denials):
        return failed(_CHECK, "a statement denies it to this service account", "take the denial out, or narrow it")
    return _judge_openness([each for each in federated if not _problems(each, cluster)], denials, cluster)


def _judge_openness(fitting: list[Mapping[str, Any]], denials: list[Mapping[str, Any]], cluster: EksCluster) -> Finding:
    """Say what is left to say when the service account may take the role, as far as can be foreseen."""
    certain = [each for each in fitting if not _doubts(each, cluster)]
    doubtful = denials + ([] if certain else fitting)
    if doubtful:
        conditions = "; ".join(dict.fromkeys(describe_condition(each) for each in doubtful))
        return warning(_CHECK, f"it depends on conditions that cannot be foreseen: {conditions}", _HOLD)
    if any(_is_open(each, cluster) for each in fitting):
        return warning(_CHECK, "other service accounts may take the role too", f"let StringEquals of sub be {SUBJECT}")
    return ok(_CHECK, f"{SUBJECT} may take it")


def check_pod_trust(document: Mapping[str, Any]) -> Finding:
    """Say whether a role lets pod identity take it, for the service account that an association names."""
    statements = [
        {**each, "Resource": ANY_RESOURCE} for each in listed(document.get("Statement")) if _serves_pods(each)
    ]
    remedy = f"allow {_POD_IDENTITY} both {' and '.join(_POD_IDENTITY_ACTIONS)}"
    if not any(each.get("Effect") == "Allow" for each in statements):
        return failed(_CHECK, "it does not trust pod identity", remedy)
    decisions = {one: decide(statements, one, ANY_RESOURCE) for one in _POD_IDENTITY_ACTIONS}
    lacking = name_decisions(decisions, Verdict.MISSING)
    if lacking:
        return failed(_CHECK, f"it trusts pod identity, but does not allow {lacking}", remedy)
    uncertain = name_decisions(decisions, Verdict.UNCERTAIN)
    if uncertain:
        return warning(_CHECK, f"pod identity may take it, but it cannot be foreseen for {uncertain}", _HOLD)
    return ok(_CHECK, "it trusts pod identity")


def _serves_pods(statement: Mapping[str, Any]) -> bool:
    named = listed(_principal(statement).get("Service"))
    return _POD_IDENTITY in named or (statement.get("Effect") == "Deny" and _is_everybody(statement))


def _is_everybody(statement: Mapping[str, Any]) -> bool:
    return statement.get("Principal") == "*" or "*" in listed(_principal(statement).get("AWS"))


def _problems(statement: Mapping[str, Any], cluster: EksCluster) -> list[str]:
    """Return why a statement that allows does not allow it to ``aws-node`` of this cluster."""
    path, found = provider_path(cluster.issuer), []
    if provider_arn(cluster) not in _federated(statement):
        found.append(f"its provider is {', '.join(_federated(statement))}, the cluster's is {provider_arn(cluster)}")
    if not concerns(statement, _WEB_IDENTITY):
        found.append(f"it does not allow {_WEB_IDENTITY}")
    for operator, key, values in _conditions(statement):
        name = key.rpartition(":")[2]
        if not key.startswith((f"{path}:", *_REQUEST_KEYS)):
            found.append(f"its condition is about {key}, which is not of this issuer")
        elif _is_met(operator, key, values, cluster) is False:
            wanted, what = (_AUDIENCE, "audience") if name == "aud" else (SUBJECT, "subject")
            unless = " other than" if "Not" in operator else ""
            found.append(f"its {what} is{unless} {', '.join(values)}, not {wanted}")
    return found


def _denies(statement: Mapping[str, Any], cluster: EksCluster) -> bool:
    """Whether a statement that denies is, or may be, about ``aws-node`` of this cluster."""
    return (
        (_is_everybody(statement) or provider_arn(cluster) in _federated(statement))
        and concerns(statement, _WEB_IDENTITY)
        and all(_is_met(*condition, cluster) is not False for condition in _conditions(statement))
    )


def _doubts(statement: Mapping[str, Any], cluster: EksCluster) -> bool:
    """Whether a statement has conditions of which it cannot be known whether they are met."""
    return any(_is_met(*condition, cluster) is None for condition in _conditions(statement))


def _is_open(statement: Mapping[str, Any], cluster: EksCluster) -> bool:
    key = f"{provider_path(cluster.issuer)}:sub"
    return not any(values == [SUBJECT] for _, name, values in _conditions(statement) if name == key)


def _conditions(statement: Mapping[str, Any]) -> Iterable[tuple[str, str, list[str]]]:
    for operator, keys in (statement.get("Condition") or {}).items():
        for key, values in keys.items():
            yield str(operator), str(key), [str(each) for each in listed(values)]


def _is_met(operator: str, key: str, values: Sequence[str], cluster: EksCluster) -> bool | None:
    """Whether a token of ``aws-node`` meets a condition; None where that cannot be known."""
    issuer, _, name = key.rpartition(":")
    actual = {"aud": _AUDIENCE, "sub": SUBJECT}.get(name)
    if actual is None or issuer != provider_path(cluster.issuer) or any("${" in each for each in values):
        return None
    compare = _OPERATORS.get(
        operator.removeprefix("ForAnyValue:").removeprefix("ForAllValues:").removesuffix("IfExists")
    )
    return None if compare is None else compare(actual, values)


def _federated(statement: Mapping[str, Any]) -> list[str]:
    return [str(each) for each in listed(_principal(statement).get("Federated"))]


def _principal(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    found = statement.get("Principal")
    return found if isinstance(found, Mapping) else {}
