"""What policies allow, by IP family and version."""

from typing import Any

import pytest

from vpc_cni.lifecycle.preflight.finding import Level
from vpc_cni.lifecycle.preflight.policies import check_actions, missing_actions, required_actions

VERSION = "v1.16.2-eksbuild.1"


def statement(*actions: str, **members: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **members}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


FULL = policy(statement(*required_actions("ipv4", VERSION)))


def test_families_and_versions_need_different_actions() -> None:
    four, six = required_actions("ipv4", VERSION), required_actions("ipv6", VERSION)
    assert "ec2:AssignPrivateIpAddresses" in four
    assert "ec2:AssignPrivateIpAddresses" not in six
    assert "ec2:AssignIpv6Addresses" in six
    assert "ec2:DescribeSubnets" not in four
    assert "ec2:DescribeSubnets" in required_actions("ipv4", "v1.18.0-eksbuild.1")


@pytest.mark.parametrize(
    "document",
    [FULL, policy(statement("ec2:*")), policy(statement("*")), policy({"Effect": "Allow", "NotAction": "iam:*"})],
)
def test_policies_that_suffice(document: dict[str, Any]) -> None:
    assert check_actions([document], "ipv4", VERSION, "aws").level is Level.OK


def test_one_statement_need_be_no_list_and_case_does_not_matter() -> None:
    document = {"Statement": {"Effect": "Allow", "Action": "EC2:describe*"}}
    missing = missing_actions([document], required_actions("ipv6", VERSION))
    assert missing == ("ec2:AssignIpv6Addresses", "ec2:CreateTags")


def test_what_is_missing_is_named_with_the_managed_policy_of_the_partition() -> None:
    found = check_actions([policy(statement("ec2:Describe*"))], "ipv4", VERSION, "aws-cn")
    assert found.level is Level.FAILED
    assert "ec2:AttachNetworkInterface" in found.detail
    assert "arn:aws-cn:iam::aws:policy/AmazonEKS_CNI_Policy" in found.remedy


def test_a_denial_wins_unless_it_has_a_condition() -> None:
    denial = {"Effect": "Deny", "Action": "ec2:CreateTags", "Resource": "*"}
    assert missing_actions([FULL, policy(denial)], ["ec2:CreateTags"]) == ("ec2:CreateTags",)
    assert missing_actions([FULL, policy({**denial, "Condition": {"Bool": {}}})], ["ec2:CreateTags"]) == ()


def test_the_policy_of_ipv4_does_not_do_for_ipv6() -> None:
    assert check_actions([FULL], "ipv6", VERSION, "aws").level is Level.FAILED
