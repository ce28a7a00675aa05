"""What a role may do, from the documents of its policies. Pure.

A simulation of what IAM decides: wildcards, ``NotAction`` and ``Deny`` count. Conditions, boundaries and policies of
the organisation are not looked at: an action that is allowed here may be denied by one of those.
Source: policies of the reference's docs/iam-policy.md; IAM reference, policy evaluation logic.
"""

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any

from vpc_cni.lifecycle.preflight.finding import Finding, failed, ok
from vpc_cni.manifests import AddonVersion, parse_addon_version

_SUBNETS_SINCE = AddonVersion(1, 18, 0)
_COMMON = (
    "ec2:CreateTags",
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeTags",
)
_IPV4 = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:AttachNetworkInterface",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DetachNetworkInterface",
    "ec2:ModifyNetworkInterfaceAttribute",
    "ec2:UnassignPrivateIpAddresses",
)
_IPV6 = ("ec2:AssignIpv6Addresses",)


def required_actions(ip_family: str, version: str) -> tuple[str, ...]:
    """Return the actions that a version needs in a cluster of a family, sorted."""
    later = ("ec2:DescribeSubnets",) if parse_addon_version(version).release >= _SUBNETS_SINCE else ()
    return tuple(sorted((*_COMMON, *(_IPV6 if ip_family == "ipv6" else _IPV4), *later)))


def missing_actions(documents: Iterable[Mapping[str, Any]], actions: Iterable[str]) -> tuple[str, ...]:
    """Return those actions that the documents together do not allow, or deny."""
    statements = [each for document in documents for each in _listed(document.get("Statement"))]
    return tuple(action for action in actions if not _is_allowed(statements, action))


def _is_allowed(statements: Iterable[Mapping[str, Any]], action: str) -> bool:
    concerned = [each for each in statements if _concerns(each, action)]
    # A denial under a condition may never come true: it is not taken for one.
    denied = any(each.get("Effect") == "Deny" and not each.get("Condition") for each in concerned)
    return not denied and any(each.get("Effect") == "Allow" for each in concerned)


def _concerns(statement: Mapping[str, Any], action: str) -> bool:
    if "NotAction" in statement:
        return not _matches(statement["NotAction"], action)
    return _matches(statement.get("Action"), action)


def _matches(patterns: Any, action: str) -> bool:
    return any(fnmatch.fnmatchcase(action.lower(), str(each).lower()) for each in _listed(patterns))


def _listed(value: Any) -> list[Any]:
    """Return what may be one thing or a list of it as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def check_actions(documents: Iterable[Mapping[str, Any]], ip_family: str, version: str, partition: str) -> Finding:
    """Say whether a role's policies allow what the add-on does."""
    wanted = required_actions(ip_family, version)
    missing = missing_actions(documents, wanted)
    if not missing:
        return ok("role policies", f"all {len(wanted)} actions for {ip_family} are allowed")
    policy = f"arn:{partition}:iam::aws:policy/AmazonEKS_CNI_Policy"
    remedy = (
        "attach a policy of your own with these actions: AWS manages none for IPv6"
        if ip_family == "ipv6"
        else f"aws iam attach-role-policy --policy-arn {policy} --role-name ROLE"
    )
    return failed("role policies", f"not allowed: {', '.join(missing)}", remedy)
