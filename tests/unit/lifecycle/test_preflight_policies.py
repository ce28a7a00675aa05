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
