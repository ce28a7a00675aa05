"""What a role may do, from the documents of its policies and of its permissions boundary. Pure.

Policies of the organisation, of sessions and of resources are not looked at: what is allowed here may be denied there.
Source: policies of the reference's docs/iam-policy.md; Service Authorization Reference, Amazon EC2.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce

from vpc_cni.lifecycle.preflight.evaluation import (
    ANY_RESOURCE,
    Decision,
    Document,
    Statement,
    Verdict,
    both,
    decide,
    name_decisions,
    statements_of,
)
from vpc_cni.lifecycle.preflight.finding import Finding, failed, ok, warning
from vpc_cni.lifecycle.records import EksCluster
from vpc_cni.manifests import AddonVersion, parse_addon_version

_SUBNETS_SINCE = AddonVersion(1, 18, 0)
# Kinds of resources, each with how the ids of its kind begin.
_INTERFACE, _INSTANCE, _SUBNET, _GROUP = "network-interface/eni-", "instance/i-", "subnet/subnet-", "security-group/sg-"
# Each action with the kinds of resources that a call names; none where it cannot be allowed for some only.
_COMMON: Mapping[str, tuple[str, ...]] = {
    "ec2:CreateTags": (_INTERFACE,),
    "ec2:DescribeInstances": (),
    "ec2:DescribeInstanceTypes": (),
    "ec2:DescribeNetworkInterfaces": (),
    "ec2:DescribeTags": (),
}
_IPV4: Mapping[str, tuple[str, ...]] = {
    "ec2:AssignPrivateIpAddresses": (_INTERFACE,),
    "ec2:AttachNetworkInterface": (_INTERFACE, _INSTANCE),
    "ec2:CreateNetworkInterface": (_INTERFACE, _SUBNET, _GROUP),
    "ec2:DeleteNetworkInterface": (_INTERFACE,),
    "ec2:DetachNetworkInterface": (_INTERFACE, _INSTANCE),
    "ec2:ModifyNetworkInterfaceAttribute": (_INTERFACE,),
    "ec2:UnassignPrivateIpAddresses": (_INTERFACE,),
}
_IPV6: Mapping[str, tuple[str, ...]] = {"ec2:AssignIpv6Addresses": (_INTERFACE,)}
_LATER: Mapping[str, tuple[str, ...]] = {"ec2:DescribeSubnets": ()}
_CHECK = "role policies"


def required_actions(ip_family: str, version: str) -> dict[str, tuple[str, ...]]:
    """Return the actions that a version needs in a cluster of a family, sorted, with kinds of resources of EC2."""
    later = _LATER if parse_addon_version(version).release >= _SUBNETS_SINCE else {}
    return dict(sorted({**_COMMON, **(_IPV6 if ip_family == "ipv6" else _IPV4), **later}.items()))


def check_actions(
    policies: Iterable[Document], boundary: Document | None, cluster: EksCluster, version: str
) -> Finding:
    """Say whether a role may do what the add-on does.

    Args:
        policies: inline and attached ones.
        boundary: None where the role has none; otherwise it must allow an action as well.
    """
    sets = [statements_of(policies), *([statements_of([boundary])] if boundary is not None else [])]
    wanted = required_actions(cluster.ip_family, version)
    decisions = {action: _judge(sets, action, _resources(cluster, kinds)) for action, kinds in wanted.items()}
    missing = name_decisions(decisions, Verdict.MISSING)
    if missing:
        return failed(_CHECK, f"not allowed: {missing}", _remedy(cluster))
    uncertain = name_decisions(decisions, Verdict.UNCERTAIN)
    if uncertain:
        return warning(
            _CHECK,
            f"cannot be foreseen: {uncertain}",
            "see that each condition holds for the nodes' own interfaces, or take it out",
        )
    return ok(_CHECK, f"all {len(wanted)} actions for {cluster.ip_family} are allowed")


def _judge(sets: Sequence[list[Statement]], action: str, resources: Iterable[str]) -> Decision:
    """Return the least of what policies and boundary say of all that a call names."""
    found = []
    for who, statements in zip(("", "by the permissions boundary"), sets, strict=False):
        for resource in resources:
            decision = decide(statements, action, resource)
            if who and decision.verdict is not Verdict.ALLOWED:
                decision = Decision(decision.verdict, (" ".join((*decision.reasons, who)),))
            found.append(decision)
    return reduce(both, found)


def _resources(cluster: EksCluster, kinds: Iterable[str]) -> tuple[str, ...]:
    """Return what stands for all resources of each kind that a cluster may have."""
    prefix = f"arn:{cluster.partition}:ec2:{cluster.region}:{cluster.account_id}"
    return tuple(f"{prefix}:{kind}*" for kind in kinds) or (ANY_RESOURCE,)


def _remedy(cluster: EksCluster) -> str:
    if cluster.ip_family == "ipv6":
        return "attach a policy of your own with these actions: AWS manages none for IPv6"
    policy = f"arn:{cluster.partition}:iam::aws:policy/AmazonEKS_CNI_Policy"
    return f"aws iam attach-role-policy --policy-arn {policy} --role-name ROLE, and see that nothing else denies them"
