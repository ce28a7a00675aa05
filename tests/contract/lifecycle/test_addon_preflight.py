"""preflight against IAM and STS as moto plays them, a real API server, and the service."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/AmazonEKSVPCCNIRole"
SUBJECT = "system:serviceaccount:kube-system:aws-node"
ALLOWED = {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}
POLICY = {
    "apiVersion": "policy/v1beta1",
    "kind": "PodSecurityPolicy",
    "metadata": {"name": "eks.privileged"},
    "spec": {
        "privileged": True,
        "hostNetwork": True,
        "volumes": ["*"],
        **{name: {"rule": "RunAsAny"} for name in ("runAsUser", "seLinux", "supplementalGroups", "fsGroup")},
    },
}


@pytest.fixture
def iam(operator: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """IAM of the account in which the service is."""
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    # The service, which is no mock, knows its own key only.
    with mock_aws(config={"core": {"mock_credentials": False}, "iam": {"load_aws_managed_policies": True}}):
        yield boto3.client("iam", region_name="eu-west-1")


def issuer(operator: Any) -> str:
    found: str = operator.eks.describe_cluster(name="my-cluster")["cluster"]["identity"]["oidc"]["issuer"]
    return found


def make_provider(operator: Any, iam: Any) -> None:
    iam.create_open_id_connect_provider(
        Url=issuer(operator), ClientIDList=["sts.amazonaws.com"], ThumbprintList=["a" * 40]
    )


def make_role(operator: Any, iam: Any, subject: str = SUBJECT) -> None:
    path = issuer(operator).partition("://")[2]
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{path}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{path}:aud": "sts.amazonaws.com", f"{path}:sub": subject}},
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    iam.create_role(RoleName="AmazonEKSVPCCNIRole", AssumeRolePolicyDocument=json.dumps(document))


def levels(done: Any) -> dict[str, str]:
    return {each["check"]: each["level"] for each in done.document["findings"]}


def test_all_is_well(operator: Any, iam: Any) -> None:
    make_provider(operator, iam)
    make_role(operator, iam)
    policy = "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"
    iam.attach_role_policy(RoleName="AmazonEKSVPCCNIRole", PolicyArn=policy)
    done = operator.run("preflight", "--json", "--role-arn", ROLE)
    found = levels(done)
    assert done.status == 0, done.document
    for check in ("accounts", "OIDC provider", "role trust", "role policies", "rights of EKS", "kubeconfig", "version"):
        assert found[check] == "ok", (check, done.document)


def test_provider_trust_and_policies_fail_each_for_itself(operator: Any, iam: Any) -> None:
    make_role(operator, iam, subject="system:serviceaccount:default:aws-node")
    iam.put_role_policy(
        RoleName="AmazonEKSVPCCNIRole",
        PolicyName="some",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [ALLOWED]}),
    )
    done = operator.run("preflight", "--json", "--role-arn", ROLE)
    assert done.status == 4
    found = levels(done)
    assert [found[each] for each in ("OIDC provider", "role trust", "role policies")] == ["failed"] * 3
    assert "role trust" in done.err
    assert "system:serviceaccount:default:aws-node" in operator.run("preflight", "--role-arn", ROLE).out


def test_a_permissions_boundary_counts(operator: Any, iam: Any) -> None:
    make_role(operator, iam)
    role, policy = "AmazonEKSVPCCNIRole", "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"
    iam.attach_role_policy(RoleName=role, PolicyArn=policy)
    document = json.dumps({"Version": "2012-10-17", "Statement": [ALLOWED]})
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=document)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=boundary)
    done = operator.run("preflight", "--json", "--role-arn", ROLE)
    found = {each["check"]: each for each in done.document["findings"]}["role policies"]
    assert found["level"] == "failed"
    assert "ec2:CreateTags (by the permissions boundary)" in found["detail"]


def test_the_role_of_an_association_is_the_one_that_counts(operator: Any, iam: Any) -> None:
    made = operator.run("create", "--role-arn", ROLE, "--timeout", "30")
    assert made.status == 0, made.err
    pods = {"Service": "pods.eks.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": pods, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_role(RoleName="PodRole", AssumeRolePolicyDocument=document)
    update = operator.eks.update_addon(
        clusterName="my-cluster",
        addonName="vpc-cni",
        serviceAccountRoleArn=ROLE,
        podIdentityAssociations=[
            {"serviceAccount": "aws-node", "roleArn": ROLE.replace("AmazonEKSVPCCNIRole", "PodRole")}
        ],
    )
    operator.wait_for_update(update["update"]["id"])
    found = levels(operator.run("preflight", "--json"))
    assert [found[each] for each in ("OIDC provider", "role trust", "role policies")] == ["skipped", "ok", "failed"]
    iam.attach_role_policy(RoleName="PodRole", PolicyArn="arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy")
    assert levels(operator.run("preflight", "--json"))["role policies"] == "ok"


def test_a_role_that_does_not_exist_or_is_of_another_account(operator: Any, iam: Any) -> None:
    done = operator.run("preflight", "--json", "--role-arn", ROLE.replace(ACCOUNT, "444455556666"))
    assert levels(done)["accounts"] == "failed"
    assert levels(done)["role trust"] == "failed"


def test_rights_of_eks_that_were_taken_away(operator: Any, iam: Any) -> None:
    binding = operator.kubectl("get", "clusterrolebinding", "eks:addon-cluster-admin", "-o", "json")
    operator.kubectl("delete", "clusterrolebinding", "eks:addon-cluster-admin")
    try:
        assert levels(operator.run("preflight", "--json"))["rights of EKS"] == "failed"
    finally:
        file = operator.folder / "binding.json"
        kept = json.loads(binding)
        kept["metadata"] = {"name": kept["metadata"]["name"]}
        file.write_text(json.dumps(kept))
        operator.kubectl("create", "-f", str(file))
    assert levels(operator.run("preflight", "--json"))["rights of EKS"] == "ok"


def test_pod_security_policies_are_asked_of_the_api_server(operator: Any, iam: Any) -> None:
    if "podsecuritypolicies" not in operator.kubectl("api-resources", "--api-group=policy", "-o", "name"):
        pytest.skip("this API server has no pod security policies")
    file = operator.folder / "policy.json"
    file.write_text(json.dumps(POLICY))
    operator.kubectl("create", "-f", str(file))
    words = ("--verb=use", "--resource=podsecuritypolicies.policy", "--resource-name=eks.privileged")
    try:
        assert levels(operator.run("preflight", "--json"))["pod security policy"] == "failed"
        operator.kubectl("create", "clusterrole", "psp", *words)
        operator.kubectl("create", "clusterrolebinding", "psp", "--clusterrole=psp", "--group=system:authenticated")
        assert levels(operator.run("preflight", "--json"))["pod security policy"] == "ok"
    finally:
        operator.kubectl("delete", "--ignore-not-found", "psp/eks.privileged", "clusterrole/psp")
        operator.kubectl("delete", "--ignore-not-found", "clusterrolebinding/psp")


def test_values_against_the_schema(operator: Any, iam: Any) -> None:
    file = operator.folder / "values.json"
    file.write_text('{"env":{"ENABLE_POD_ENI":"maybe"}}')
    done = operator.run("preflight", "--json", "--values", str(file))
    assert (done.status, levels(done)["values"]) == (4, "failed")
