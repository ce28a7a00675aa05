"""What policies and boundaries allow, by IP family and version."""

from dataclasses import replace
from typing import Any

import pytest

from vpc_cni.lifecycle.preflight.finding import Finding, Level
from vpc_cni.lifecycle.preflight.policies import check_actions, required_actions
from vpc_cni.lifecycle.records import parse_cluster

VERSION = "v1.16.2-eksbuild.1"
CLUSTER = parse_cluster({"name": "c", "arn": "arn:aws:eks:us-west-2:111122223333:cluster/c", "version": "1.29"})
OURS = "arn:aws:ec2:us-west-2:111122223333"


def statement(*actions: str, **members: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **members}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


FULL = policy(statement(*required_actions("ipv4", VERSION)))
# As AWS manages it: tags for interfaces alone.
MANAGED = policy(
    statement(*(each for each in required_actions("ipv4", VERSION) if each != "ec2:CreateTags")),
    statement("ec2:CreateTags", Resource=["arn:aws:ec2:*:*:network-interface/*"]),
)


def check(*documents: dict[str, Any], boundary: dict[str, Any] | None = None, family: str = "ipv4") -> Finding:
    return check_actions(documents, boundary, replace(CLUSTER, ip_family=family), VERSION)


def test_families_and_versions_need_different_actions() -> None:
    four, six = required_actions("ipv4", VERSION), required_actions("ipv6", VERSION)
    assert "ec2:AssignPrivateIpAddresses" in four
    assert "ec2:AssignPrivateIpAddresses" not in six
    assert "ec2:AssignIpv6Addresses" in six
    assert "ec2:DescribeSubnets" not in four
    assert "ec2:DescribeSubnets" in required_actions("ipv4", "v1.18.0-eksbuild.1")


@pytest.mark.parametrize(
    "document",
    [
        FULL,
        MANAGED,
        policy(statement("ec2:*")),
        policy(statement("*")),
        policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
        policy({"Effect": "Allow", "Action": "ec2:*", "NotResource": "arn:aws:s3:::*"}),
    ],
)
def test_policies_that_suffice(document: dict[str, Any]) -> None:
    found = check(document)
    assert found.level is Level.OK, found


def test_one_statement_need_be_no_list_and_case_does_not_matter() -> None:
    found = check({"Statement": {"Effect": "Allow", "Action": "EC2:describe*", "Resource": "*"}}, family="ipv6")
    assert found.detail == "not allowed: ec2:AssignIpv6Addresses, ec2:CreateTags"


def test_brackets_are_no_wildcards() -> None:
    assert check(policy(statement("ec2:[A-Z]*"))).level is Level.FAILED


def test_what_is_missing_is_named_with_the_managed_policy_of_the_partition() -> None:
    cluster = replace(CLUSTER, arn=CLUSTER.arn.replace("arn:aws:", "arn:aws-cn:"))
    found = check_actions([policy(statement("ec2:Describe*"))], None, cluster, VERSION)
    assert found.level is Level.FAILED
    assert "ec2:AttachNetworkInterface" in found.detail
    assert "arn:aws-cn:iam::aws:policy/AmazonEKS_CNI_Policy" in found.remedy


def test_the_policy_of_ipv4_does_not_do_for_ipv6() -> None:
    assert check(FULL, family="ipv6").level is Level.FAILED


def test_a_denial_wins() -> None:
    found = check(FULL, policy(statement("ec2:CreateTags", Effect="Deny")))
    assert found.level is Level.FAILED
    assert found.detail == "not allowed: ec2:CreateTags (denied)"


def test_a_denial_of_something_else_does_not_matter() -> None:
    other = statement("ec2:*", Effect="Deny", Resource=f"{OURS}:volume/*")
    elsewhere = statement("*", Effect="Deny", NotResource="*")
    assert check(FULL, policy(other, elsewhere)).level is Level.OK


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"Condition": {"StringEquals": {"aws:ResourceTag/team": "a"}}}, "StringEquals aws:ResourceTag/team"),
        ({"Resource": f"{OURS}:network-interface/eni-1"}, "for some resources only"),
        ({"Resource": f"{OURS}:network-interface/${{aws:PrincipalTag/eni}}"}, "for some resources only"),
    ],
)
@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_what_depends_on_the_call_is_a_warning(members: dict[str, Any], said: str, effect: str) -> None:
    others = statement(*(each for each in required_actions("ipv4", VERSION) if each != "ec2:CreateTags"))
    limited = statement("ec2:CreateTags", Effect=effect, **members)
    found = check(policy(others, limited) if effect == "Allow" else policy(*FULL["Statement"], limited))
    assert found.level is Level.WARNING
    assert found.detail.startswith("cannot be foreseen: ec2:CreateTags (")
    assert said in found.detail
    assert ("denied" in found.detail) is (effect == "Deny")


def test_a_statement_without_limits_makes_limited_ones_needless() -> None:
    limited = statement("ec2:*", Condition={"Bool": {"aws:SecureTransport": "true"}})
    assert check(policy(limited), FULL).level is Level.OK


@pytest.mark.parametrize(
    ("resource", "missing"),
    [
        (f"{OURS}:network-interface/*", "ec2:AttachNetworkInterface"),
        (OURS.replace("us-west-2", "eu-west-1") + ":*", "ec2:CreateTags"),
        ("arn:aws:s3:::*", "ec2:AssignPrivateIpAddresses"),
        (f"{OURS}:*", "ec2:DescribeInstances"),
    ],
)
def test_resources_of_another_kind_or_place_do_not_do(resource: str, missing: str) -> None:
    found = check(policy(statement("ec2:*", Resource=resource)))
    assert found.level is Level.FAILED
    assert missing in found.detail


def test_a_boundary_must_allow_it_too() -> None:
    assert check(FULL, boundary=FULL).level is Level.OK
    found = check(FULL, boundary=policy(statement("ec2:Describe*")))
    assert found.level is Level.FAILED
    assert "ec2:CreateTags (by the permissions boundary)" in found.detail
    limited = policy(statement("ec2:*", Condition={"StringEquals": {"aws:RequestedRegion": "us-west-2"}}))
    found = check(FULL, boundary=limited)
    assert found.level is Level.WARNING
    assert "by the permissions boundary" in found.detail
    assert check(policy(), boundary=policy(statement("*"))).level is Level.FAILED


@pytest.mark.parametrize("resource", ["network-interface/*", "network-interface/eni-*", "*/*", "*"])
def test_a_pattern_of_all_interfaces_is_one_of_all(resource: str) -> None:
    others = statement(*(each for each in required_actions("ipv4", VERSION) if each != "ec2:CreateTags"))
    tags = statement("ec2:CreateTags", Resource=f"{OURS}:{resource}")
    assert check(policy(others, tags)).level is Level.OK


@pytest.mark.parametrize("resource", ["network-interface/eni-a*", "network-interface/a*", "network-interface/?*y"])
def test_ids_of_some_interfaces_are_never_taken_for_all(resource: str) -> None:
    others = statement(*(each for each in required_actions("ipv4", VERSION) if each != "ec2:CreateTags"))
    found = check(policy(others, statement("ec2:CreateTags", Resource=f"{OURS}:{resource}")))
    assert found.level in (Level.WARNING, Level.FAILED), found


def test_a_statement_with_a_name_is_named() -> None:
    limited = statement("ec2:*", Sid="OursOnly", Condition={"StringEquals": {"ec2:ResourceTag/cluster": "c"}})
    found = check(policy(limited))
    assert found.level is Level.WARNING
    assert "under a condition (StringEquals ec2:ResourceTag/cluster) by statement OursOnly" in found.detail


def test_interfaces_of_one_cluster_by_tags_are_a_warning() -> None:
    """As those do who let a cluster touch nothing but its own interfaces."""
    tagged = {"StringEquals": {"aws:ResourceTag/cluster.k8s.amazonaws.com/name": "c"}}
    requested = {"StringEquals": {"aws:RequestTag/cluster.k8s.amazonaws.com/name": "c"}}
    interfaces = f"{OURS}:network-interface/*"
    found = check(
        policy(
            statement("ec2:Describe*"),
            statement("ec2:CreateTags", Resource=interfaces),
            statement("ec2:CreateNetworkInterface", Resource=interfaces, Condition=requested),
            statement("ec2:CreateNetworkInterface", Resource=[f"{OURS}:subnet/*", f"{OURS}:security-group/*"]),
            statement("ec2:AttachNetworkInterface", "ec2:DetachNetworkInterface", Resource=f"{OURS}:instance/*"),
            statement(
                *(each for each in required_actions("ipv4", VERSION) if "Describe" not in each),
                Resource=interfaces,
                Condition=tagged,
            ),
        )
    )
    assert found.level is Level.WARNING, found
    assert "CreateTags" not in found.detail
    assert "aws:RequestTag/cluster.k8s.amazonaws.com/name" in found.detail
