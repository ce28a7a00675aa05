"""Provider, trust policy and accounts: what the user guide asks for passes, each slip is named."""

import copy
from typing import Any

import pytest

from vpc_cni.lifecycle.preflight.finding import Level
from vpc_cni.lifecycle.preflight.roles import (
    Provider,
    check_account,
    check_pod_trust,
    check_provider,
    check_trust,
    provider_arn,
)
from vpc_cni.lifecycle.records import parse_cluster

PATH = "oidc.eks.us-west-2.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
CLUSTER = parse_cluster(
    {
        "name": "my-cluster",
        "arn": "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster",
        "version": "1.29",
        "identity": {"oidc": {"issuer": f"https://{PATH}"}},
    }
)
ARN = f"arn:aws:iam::111122223333:oidc-provider/{PATH}"
SUBJECT = "system:serviceaccount:kube-system:aws-node"
TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Federated": ARN},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{PATH}:aud": "sts.amazonaws.com", f"{PATH}:sub": SUBJECT}},
        }
    ],
}


def changed(**members: Any) -> dict[str, Any]:
    document = copy.deepcopy(TRUST)
    document["Statement"][0] |= members
    return document


def test_the_trust_policy_of_the_user_guide_is_fine() -> None:
    assert check_trust(TRUST, CLUSTER).level is Level.OK
    as_lists = changed(Action=["sts:AssumeRoleWithWebIdentity"], Principal={"Federated": [ARN]})
    assert check_trust(as_lists, CLUSTER).level is Level.OK


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"Principal": {"Federated": ARN.replace("0123", "9999")}}, "its provider is"),
        ({"Action": "sts:AssumeRole"}, "does not allow sts:AssumeRoleWithWebIdentity"),
        ({"Condition": {"StringEquals": {f"{PATH}:sub": "system:serviceaccount:default:aws-node"}}}, "its subject is"),
        ({"Condition": {"StringEquals": {f"{PATH}:aud": "sts.amazonaws.com.cn"}}}, "its audience is"),
        ({"Condition": {"StringEquals": {f"https://{PATH}:sub": SUBJECT}}}, "not of this issuer"),
        ({"Effect": "Deny"}, "trusts no OpenID Connect provider"),
        ({"Principal": {"Service": "ec2.amazonaws.com"}}, "trusts no OpenID Connect provider"),
    ],
)
def test_each_slip_is_named(members: dict[str, Any], said: str) -> None:
    found = check_trust(changed(**members), CLUSTER)
    assert found.level is Level.FAILED
    assert said in found.detail
    assert found.remedy


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {f"{PATH}:aud": "sts.amazonaws.com"}},
        {"StringLike": {f"{PATH}:sub": "system:serviceaccount:kube-system:*"}},
    ],
)
def test_a_role_that_others_may_take_too_is_a_warning(condition: dict[str, Any]) -> None:
    assert check_trust(changed(Condition=condition), CLUSTER).level is Level.WARNING


def test_a_role_for_pod_identity_is_bound_otherwise() -> None:
    document = changed(
        Principal={"Service": "pods.eks.amazonaws.com"}, Action=["sts:AssumeRole", "sts:TagSession"], Condition={}
    )
    assert check_trust(document, CLUSTER).level is Level.WARNING


def test_pod_identity_takes_two_actions() -> None:
    document = changed(Principal={"Service": "pods.eks.amazonaws.com"}, Action="sts:AssumeRole", Condition={})
    found = check_trust(document, CLUSTER)
    assert found.level is Level.FAILED
    assert "sts:TagSession" in found.detail


DENIAL: dict[str, Any] = {"Effect": "Deny", "Principal": "*", "Action": "sts:*"}


@pytest.mark.parametrize(
    ("members", "level"),
    [
        ({}, Level.FAILED),
        ({"Principal": {"Federated": ARN}}, Level.FAILED),
        ({"Principal": {"AWS": "*"}}, Level.FAILED),
        ({"Principal": {"AWS": "arn:aws:iam::111122223333:root"}}, Level.OK),
        ({"Principal": {"Federated": ARN.replace("0123", "9999")}}, Level.OK),
        ({"Action": "sts:AssumeRole"}, Level.OK),
        ({"Condition": {"StringNotEquals": {f"{PATH}:sub": SUBJECT}}}, Level.OK),
        ({"Condition": {"StringLike": {f"{PATH}:sub": "system:serviceaccount:kube-system:*"}}}, Level.FAILED),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}, Level.WARNING),
    ],
)
def test_a_denial_counts_when_it_is_about_the_service_account(members: dict[str, Any], level: Level) -> None:
    document = changed()
    document["Statement"].append(DENIAL | members)
    found = check_trust(document, CLUSTER)
    assert found.level is level, found
    if level is Level.WARNING:
        assert "IpAddress aws:SourceIp" in found.detail


PODS: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"Service": ["ec2.amazonaws.com", "pods.eks.amazonaws.com"]},
    "Action": ["sts:AssumeRole", "sts:TagSession"],
}


@pytest.mark.parametrize(
    ("statements", "level", "said"),
    [
        ([PODS], Level.OK, "trusts pod identity"),
        ([PODS | {"Action": "sts:AssumeRole"}], Level.FAILED, "sts:TagSession"),
        ([PODS | {"Action": "sts:*"}], Level.OK, ""),
        ([PODS | {"Action": each} for each in PODS["Action"]], Level.OK, ""),
        ([PODS | {"Principal": {"Service": "ec2.amazonaws.com"}}], Level.FAILED, "does not trust"),
        ([TRUST["Statement"][0]], Level.FAILED, "does not trust"),
        ([PODS, DENIAL], Level.FAILED, "denied"),
        ([PODS, PODS | {"Effect": "Deny", "Action": "sts:TagSession"}], Level.FAILED, "sts:TagSession (denied)"),
        ([PODS | {"Condition": {"StringEquals": {"aws:SourceAccount": "1"}}}], Level.WARNING, "aws:SourceAccount"),
        ([PODS, DENIAL | {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}], Level.WARNING, "SecureTransport"),
    ],
)
def test_a_role_of_an_association(statements: list[dict[str, Any]], level: Level, said: str) -> None:
    found = check_pod_trust({"Statement": statements})
    assert found.level is level, found
    assert said in found.detail


def test_one_of_several_statements_and_providers_is_enough() -> None:
    other = ARN.replace("0123", "9999")
    document = changed(Principal={"Federated": [other, ARN]})
    document["Statement"].insert(0, changed(Principal={"Federated": other}, Condition={})["Statement"][0])
    assert check_trust(document, CLUSTER).level is Level.OK


def test_audiences_may_be_a_list() -> None:
    both = {f"{PATH}:aud": ["other", "sts.amazonaws.com"], f"{PATH}:sub": SUBJECT}
    assert check_trust(changed(Condition={"StringEquals": both}), CLUSTER).level is Level.OK


def test_a_condition_of_the_request_cannot_be_foreseen() -> None:
    conditions = TRUST["Statement"][0]["Condition"] | {"StringEquals": {"aws:RequestedRegion": "us-west-2"}}
    found = check_trust(changed(Condition=conditions), CLUSTER)
    assert found.level is Level.WARNING
    assert "aws:RequestedRegion" in found.detail


@pytest.mark.parametrize("operator", ["StringNotEquals", "StringNotLike"])
def test_all_but_the_service_account_is_a_slip(operator: str) -> None:
    found = check_trust(changed(Condition={operator: {f"{PATH}:sub": SUBJECT}}), CLUSTER)
    assert found.level is Level.FAILED
    assert "its subject is other than" in found.detail


def test_provider() -> None:
    assert provider_arn(CLUSTER) == ARN
    assert check_provider(CLUSTER, Provider(ARN, ("sts.amazonaws.com",))).level is Level.OK
    assert check_provider(CLUSTER, Provider(ARN, ("other",))).level is Level.FAILED
    missing = check_provider(CLUSTER, None)
    assert missing.level is Level.FAILED
    assert "associate-iam-oidc-provider --cluster my-cluster" in missing.remedy


def test_accounts() -> None:
    role = "arn:aws:iam::111122223333:role/a/path/cni"
    assert check_account(CLUSTER, "111122223333", role).level is Level.OK
    assert "caller 444455556666" in check_account(CLUSTER, "444455556666", role).detail
    assert check_account(CLUSTER, "111122223333", role.replace("1111", "9999")).level is Level.FAILED
