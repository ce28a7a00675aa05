"""Every known situation has its exception, members and message, byte for byte; whatever a client does not check."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from api_site import ACCOUNT, REGION, ROLE, Site, running
from botocore.exceptions import ClientError

from vpc_cni.addons.model import Network

NAME = {"addonName": "vpc-cni"}
IDENTITY = {"serviceAccount": "aws-node", "roleArn": ROLE}
PREFIX = "ConfigurationValue provided in request is not supported: "
SCHEMA = f"{PREFIX}Json schema validation failed with error: "


@pytest.fixture(scope="module")
def rough(site: Site) -> Any:
    """A client that checks nothing itself."""
    return site.client(parameter_validation=False)


def refusal(call: Callable[..., Any], **members: Any) -> dict[str, Any]:
    """Return the exception that a call ends with: code, HTTP status, message, and the members that are not null."""
    with pytest.raises(ClientError) as caught:
        call(**members)
    response = dict(caught.value.response)
    error, status = response.pop("Error"), response.pop("ResponseMetadata")["HTTPStatusCode"]
    response.pop("message", None)
    return {"code": error["Code"], "status": status, "message": error["Message"], **response}


def expected(code: str, status: int, message: str, **members: str) -> dict[str, Any]:
    return {"code": code, "status": status, "message": message, **members}


def invalid(message: str, **members: str) -> dict[str, Any]:
    return expected("InvalidParameterException", 400, message, **members)


def test_an_unknown_cluster(rough: Any) -> None:
    wanted = expected("ResourceNotFoundException", 404, "No cluster found for name: nowhere.", clusterName="nowhere")
    with_addon = {**wanted, "addonName": "vpc-cni"}
    assert refusal(rough.create_addon, clusterName="nowhere", **NAME) == wanted
    assert refusal(rough.describe_addon, clusterName="nowhere", **NAME) == with_addon
    assert refusal(rough.update_addon, clusterName="nowhere", **NAME) == with_addon
    assert refusal(rough.delete_addon, clusterName="nowhere", **NAME) == with_addon
    assert refusal(rough.list_addons, clusterName="nowhere") == wanted
    assert refusal(rough.list_updates, name="nowhere") == wanted
    assert refusal(rough.describe_update, name="nowhere", updateId="x", **NAME) == wanted
    assert refusal(rough.describe_cluster, name="nowhere") == wanted
    assert refusal(rough.delete_cluster, name="nowhere") == wanted
    assert refusal(rough.update_cluster_version, name="nowhere", version="1.30") == wanted
    assert refusal(rough.list_fargate_profiles, clusterName="nowhere") == wanted
    assert refusal(rough.list_pod_identity_associations, clusterName="nowhere") == wanted
    profile = {"fargateProfileName": "f", "podExecutionRoleArn": ROLE, "selectors": [{"namespace": "x"}]}
    assert refusal(rough.create_fargate_profile, clusterName="nowhere", **profile) == wanted
    association = {**IDENTITY, "namespace": "default"}
    assert refusal(rough.create_pod_identity_association, clusterName="nowhere", **association) == wanted


def test_an_addon_that_is_not_installed(rough: Any, cluster: str) -> None:
    message = f"No addon: vpc-cni found in cluster: {cluster}"
    wanted = expected("ResourceNotFoundException", 404, message, clusterName=cluster, addonName="vpc-cni")
    for call in (rough.describe_addon, rough.update_addon, rough.delete_addon):
        assert refusal(call, clusterName=cluster, **NAME) == wanted
    assert refusal(rough.list_updates, name=cluster, **NAME) == wanted


def test_an_addon_that_exists(rough: Any, cluster: str) -> None:
    rough.create_addon(clusterName=cluster, **NAME)
    wanted = expected("ResourceInUseException", 409, "Addon already exists.", clusterName=cluster)
    assert refusal(rough.create_addon, clusterName=cluster, **NAME) == wanted


def test_work_under_way_refuses_updates_and_deletions(site: Site, rough: Any, cluster: str) -> None:
    names = {"clusterName": cluster, "addonName": "vpc-cni"}

    def update_refusal() -> dict[str, Any]:
        return refusal(rough.update_addon, **names)

    def updatable(status: str) -> dict[str, Any]:
        message = f"Addon vpc-cni cannot be updated as it is currently in {status} state"
        return expected("ResourceInUseException", 409, message, **names)

    def deletable(status: str) -> dict[str, Any]:
        message = f"Addon vpc-cni cannot be deleted as it is currently in {status} state"
        return expected("InvalidRequestException", 400, message, **names)

    rough.create_addon(**names)
    assert update_refusal() == updatable("CREATING")
    assert refusal(rough.delete_addon, **names) == deletable("CREATING")
    site.end_work()
    rough.update_addon(**names)
    assert update_refusal() == updatable("UPDATING")
    assert refusal(rough.delete_addon, **names) == deletable("UPDATING")
    site.end_work()
    rough.delete_addon(**names)
    assert update_refusal() == updatable("DELETING")


@pytest.mark.parametrize(
    "version",
    ["v1.16.2", "1.16.2-eksbuild.1", "v9.9.9-eksbuild.9", "latest", "", "v1.16.1-eksbuild.1", f"v{'9' * 5000}.1.1"],
)
def test_a_version_that_is_not_offered(site: Site, rough: Any, cluster: str, version: str) -> None:
    message = "Addon version specified is not supported"
    wanted = invalid(message, clusterName=cluster)
    assert refusal(rough.create_addon, clusterName=cluster, **NAME, addonVersion=version) == wanted
    rough.create_addon(clusterName=cluster, **NAME)
    site.end_work()
    members = {**NAME, "addonVersion": version}
    assert refusal(rough.update_addon, clusterName=cluster, **members) == {**wanted, **NAME}
    if version:
        assert refusal(rough.describe_addon_configuration, **members) == invalid(message)


def test_v1_16_0_is_not_offered_to_old_clusters(site: Site, rough: Any) -> None:
    old = site.register("old-cluster", "1.23")
    version = {"addonVersion": "v1.16.0-eksbuild.1"}
    wanted = invalid("Addon version specified is not supported", clusterName=old)
    assert refusal(rough.create_addon, clusterName=old, **NAME, **version) == wanted
    new = site.register("new-cluster", "1.24")
    assert rough.create_addon(clusterName=new, **NAME, **version)["addon"]["status"] == "CREATING"


def test_another_addon(rough: Any, cluster: str) -> None:
    message = "Addon specified is not supported"
    assert refusal(rough.create_addon, clusterName=cluster, addonName="coredns") == invalid(
        message, clusterName=cluster
    )
    members = {"addonName": "coredns", "addonVersion": "v1.0.0-eksbuild.1"}
    assert refusal(rough.describe_addon_configuration, **members) == invalid(message)


def test_a_cluster_to_which_nothing_is_offered(site: Site, rough: Any) -> None:
    name = site.register("far-ahead", "1.99")
    message = "Addon vpc-cni specified is not supported in 1.99 kubernetes version"
    assert refusal(rough.create_addon, clusterName=name, **NAME) == invalid(message, clusterName=name)


def test_more_than_one_minor_step_where_that_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, strict_minor_step=True) as strict:
        eks, name = strict.client(), strict.register("strict")
        eks.create_addon(clusterName=name, **NAME, addonVersion="v1.15.1-eksbuild.1")
        strict.end_work()
        eks.update_addon(clusterName=name, **NAME, addonVersion="v1.16.2-eksbuild.1")
        older = strict.register("stricter", "1.26")
        eks.create_addon(clusterName=older, **NAME, addonVersion="v1.12.6-eksbuild.2")
        strict.end_work()
        message = "Updating VPC-CNI can only go up or down 1 minor version at a time"
        found = refusal(eks.update_addon, clusterName=older, **NAME, addonVersion="v1.16.2-eksbuild.1")
        assert found == invalid(message, clusterName=older, **NAME)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            '{"env":{"X":"1"}}',
            f"{SCHEMA}[$.env.X: is not defined in the schema and the schema does not allow additional properties]",
        ),
        (
            "Init:\n  env: {}\nnodeSelector: {}\n",
            f"{SCHEMA}[$.Init: is not defined in the schema and the schema does not allow additional properties, "
            "$.nodeSelector: is not defined in the schema and the schema does not allow additional properties]",
        ),
        ('{"env":{"ENABLE_POD_ENI":true}}', f"{SCHEMA}[$.env.ENABLE_POD_ENI: boolean found, string expected]"),
        (
            '{"eniConfig":{"create":true,"subnets":{}}}',
            f"{SCHEMA}[$.eniConfig.region: is missing but it is required, "
            "$.eniConfig.subnets: should have a minimum of 1 properties]",
        ),
        (
            '{"env":{"DISABLE_METRICS":"maybe"}}',
            f'{SCHEMA}[$.env.DISABLE_METRICS: "maybe" is no boolean, use true or false]',
        ),
        ('{"env":{"MAX_ENI":"many"}}', f'{SCHEMA}[$.env.MAX_ENI: "many" is no whole number]'),
        (
            '{"enableNetworkPolicy":"true"}',
            f"{PREFIX}[enableNetworkPolicy: network policy is not built yet; leave it out or set it to false]",
        ),
    ],
)
def test_configuration_values_against_the_schema(rough: Any, cluster: str, values: str, message: str) -> None:
    wanted = invalid(message, clusterName=cluster)
    assert refusal(rough.create_addon, clusterName=cluster, **NAME, configurationValues=values) == wanted
    with pytest.raises(ClientError, match="No addon"):
        rough.describe_addon(clusterName=cluster, **NAME)


@pytest.mark.parametrize(
    "values",
    [
        "{",
        "[]",
        "just text",
        "--- {}\n--- {}\n",
        "&a [*a]",
        "affinity: &a\n  x: *a\n",
        "affinity: {x: 2001-01-01}",
        "affinity: {x: 2001-99-99}",
        "affinity: {1: x}",
        "affinity: {x: .nan}",
        "affinity: {x: !!binary aGk=}",
        '{"affinity":{"x":"\\ud800"}}',
        '{"affinity":{"x":"\\u0000"}}',
        "[" * 5000,
        '{"affinity":' * 3000,
        "affinity:\n  a: &a [x,x,x,x,x,x,x,x]\n  b: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n  c: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "  d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\n  e: [*d,*d,*d,*d,*d,*d,*d,*d]\n",
        "x" * 70_000,
    ],
    ids=lambda text: text[:20],
)
def test_configuration_values_that_are_no_values(rough: Any, cluster: str, values: str) -> None:
    found = refusal(rough.create_addon, clusterName=cluster, **NAME, configurationValues=values)
    assert (found["code"], found["status"]) == ("InvalidParameterException", 400)
    assert found["message"].startswith(PREFIX)


def test_modes_that_are_not_built_are_refused_by_name(rough: Any, cluster: str) -> None:
    for name in ("ENABLE_PREFIX_DELEGATION", "ENABLE_POD_ENI", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"):
        values = f'{{"env":{{"{name}":"true"}}}}'
        found = refusal(rough.create_addon, clusterName=cluster, **NAME, configurationValues=values)
        assert found["message"].startswith(PREFIX)
        assert name in found["message"]


def test_ipv6_clusters_are_refused_by_name(site: Site, rough: Any) -> None:
    name = site.register("six", network=Network(family="ipv6", service_cidr="fd00::/108"))
    found = refusal(rough.create_addon, clusterName=name, **NAME)
    assert found["code"] == "InvalidRequestException"
    assert "ENABLE_IPv6" in found["message"]


def test_stored_values_are_checked_again_when_the_version_changes(site: Site, rough: Any) -> None:
    name = site.register("stored", "1.26")
    later = '{"env":{"ENABLE_V4_EGRESS":"true"}}'
    rough.create_addon(clusterName=name, **NAME, addonVersion="v1.16.2-eksbuild.1", configurationValues=later)
    site.end_work()
    older = {"addonVersion": "v1.12.6-eksbuild.2"}
    found = refusal(rough.update_addon, clusterName=name, **NAME, **older)
    assert found["message"].startswith(f"{SCHEMA}[$.env.ENABLE_V4_EGRESS: is not defined in the schema")
    rough.update_addon(clusterName=name, **NAME, **older, configurationValues="{}")


def test_pod_identity(site: Site, rough: Any, cluster: str) -> None:
    def create(version: str, *identities: dict[str, str], name: str = cluster) -> dict[str, Any]:
        members = {"addonVersion": version, "podIdentityAssociations": list(identities)}
        return refusal(rough.create_addon, clusterName=name, **NAME, **members)

    message = "Pod Identity feature is not supported for addon version: v1.15.1-eksbuild.1"
    assert create("v1.15.1-eksbuild.1", IDENTITY) == invalid(message, clusterName=cluster)
    message = "Service account other in pod identity configuration is not supported for addon vpc-cni"
    other = {**IDENTITY, "serviceAccount": "other"}
    assert create("v1.16.2-eksbuild.1", other) == invalid(message, clusterName=cluster)
    assert create("v1.16.2-eksbuild.1", IDENTITY, IDENTITY)["code"] == "InvalidParameterException"
    taken = rough.create_pod_identity_association(clusterName=cluster, namespace="kube-system", **IDENTITY)
    identifier = taken["association"]["associationId"]
    message = f"Association already exists: {identifier}"
    exists = expected("ResourceInUseException", 409, message, clusterName=cluster)
    assert create("v1.16.2-eksbuild.1", IDENTITY) == exists
    again = refusal(rough.create_pod_identity_association, clusterName=cluster, namespace="kube-system", **IDENTITY)
    assert again == exists


@pytest.mark.parametrize(
    ("arn", "code", "message"),
    [
        ("", "AccessDeniedException", "Cross-account pass role is not allowed."),
        ("arn:aws:iam::999999999999:role/x", "AccessDeniedException", "Cross-account pass role is not allowed."),
        ("no-arn", "InvalidParameterException", "Invalid Role Arn: 'no-arn'"),
        (
            f"arn:aws-cn:iam::{ACCOUNT}:role/x",
            "InvalidParameterException",
            f"Invalid Role Arn: 'arn:aws-cn:iam::{ACCOUNT}:role/x'",
        ),
        (f"{ROLE}\n", "InvalidParameterException", f"Invalid Role Arn: '{ROLE}\n'"),
        (ROLE + "x" * 300, "InvalidParameterException", "A role's ARN has up to 255 characters"),
    ],
)
def test_roles(rough: Any, cluster: str, arn: str, code: str, message: str) -> None:
    found = refusal(rough.create_addon, clusterName=cluster, **NAME, serviceAccountRoleArn=arn)
    assert (found["code"], found["message"]) == (code, message)
    profile = {"fargateProfileName": "f", "selectors": [{"namespace": "x"}], "podExecutionRoleArn": arn}
    assert refusal(rough.create_fargate_profile, clusterName=cluster, **profile)["code"] == code
    association = {"namespace": "default", "serviceAccount": "a", "roleArn": arn}
    assert refusal(rough.create_pod_identity_association, clusterName=cluster, **association)["code"] == code


def test_an_unknown_update(rough: Any, cluster: str) -> None:
    wanted = expected("ResourceNotFoundException", 404, "No update found for ID: nope", clusterName=cluster)
    assert refusal(rough.describe_update, name=cluster, updateId="nope", **NAME) == wanted
    assert refusal(rough.describe_update, name=cluster, updateId="nope") == wanted
    assert refusal(rough.describe_update, name=cluster, updateId="nope", nodegroupName="g") == wanted
    assert refusal(rough.cancel_update, name=cluster, updateId="nope") == wanted


def test_an_update_of_an_addon_is_none_of_the_cluster(site: Site, rough: Any, cluster: str) -> None:
    rough.create_addon(clusterName=cluster, **NAME)
    site.end_work()
    identifier = rough.update_addon(clusterName=cluster, **NAME)["update"]["id"]
    wanted = expected("ResourceNotFoundException", 404, f"No update found for ID: {identifier}", clusterName=cluster)
    assert refusal(rough.describe_update, name=cluster, updateId=identifier) == wanted


def test_an_unknown_fargate_profile(rough: Any, cluster: str) -> None:
    message = "No Fargate Profile found with name: f."
    wanted = expected("ResourceNotFoundException", 404, message, clusterName=cluster, fargateProfileName="f")
    assert refusal(rough.describe_fargate_profile, clusterName=cluster, fargateProfileName="f") == wanted
    assert refusal(rough.delete_fargate_profile, clusterName=cluster, fargateProfileName="f") == wanted


@pytest.mark.parametrize(
    "arn",
    [
        "nonsense",
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:cluster/x",
        f"arn:aws-cn:eks:{REGION}:{ACCOUNT}:cluster/x",
    ],
)
def test_tags_of_what_has_no_such_arn(rough: Any, arn: str) -> None:
    wanted = expected("BadRequestException", 400, f"Invalid ARN: {arn}")
    assert refusal(rough.list_tags_for_resource, resourceArn=arn) == wanted
    assert refusal(rough.tag_resource, resourceArn=arn, tags={"a": "b"}) == wanted
    assert refusal(rough.untag_resource, resourceArn=arn, tagKeys=["a"]) == wanted


@pytest.mark.parametrize(
    "resource",
    [
        f"{REGION}:{ACCOUNT}:cluster/nowhere",
        f"{REGION}:{ACCOUNT}:nodegroup/a/b/c",
        f"{REGION}:{ACCOUNT}:addon/a/b",
        f"eu-west-1:{ACCOUNT}:cluster/x",
        f"{REGION}:999999999999:cluster/x",
    ],
)
def test_tags_of_what_is_not_there(rough: Any, resource: str) -> None:
    arn = f"arn:aws:eks:{resource}"
    wanted = expected("NotFoundException", 404, f"Resource not found: {arn}")
    assert refusal(rough.list_tags_for_resource, resourceArn=arn) == wanted
    assert refusal(rough.tag_resource, resourceArn=arn, tags={"a": "b"}) == wanted
    assert refusal(rough.untag_resource, resourceArn=arn, tagKeys=["a"]) == wanted


TOO_MANY = {f"key-{number}": "" for number in range(51)}


@pytest.mark.parametrize("tags", [TOO_MANY, {"k" * 129: ""}, {"k": "v" * 257}, {"aws:x": "y"}, {"": "x"}])
def test_tags_out_of_bounds(rough: Any, site: Site, cluster: str, tags: dict[str, str]) -> None:
    assert refusal(rough.create_addon, clusterName=cluster, **NAME, tags=tags)["code"] == "InvalidParameterException"
    arn = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{cluster}"
    assert refusal(rough.tag_resource, resourceArn=arn, tags=tags)["code"] == "BadRequestException"
    assert rough.list_tags_for_resource(resourceArn=arn)["tags"] == {}


@pytest.mark.parametrize(
    "change",
    [
        {"clusterName": "-bad name/"},
        {"clusterName": "x" * 101},
        {"clusterName": "trailing\n"},
        {"resolveConflicts": "BOGUS"},
        {"namespaceConfig": {"namespace": "elsewhere"}},
        {"podIdentityAssociations": [{"serviceAccount": "aws-node"}]},
        {"clientRequestToken": "t" * 256},
        {"addonName": 7},
        {"configurationValues": {"env": {}}},
        {"tags": {"x": 1}},
    ],
    ids=str,
)
def test_members_that_clients_do_not_check(rough: Any, cluster: str, change: dict[str, Any]) -> None:
    found = refusal(rough.create_addon, **{"clusterName": cluster, **NAME, **change})
    assert (found["code"], found["status"]) == ("InvalidParameterException", 400)


@pytest.mark.parametrize("limit", [0, -1, 101, 10**12])
def test_page_sizes_out_of_bounds(rough: Any, cluster: str, limit: int) -> None:
    wanted = "maxResults must be a whole number from 1 to 100"
    assert refusal(rough.list_addons, clusterName=cluster, maxResults=limit)["message"] == wanted
    assert refusal(rough.list_clusters, maxResults=limit) == invalid(wanted)
    assert refusal(rough.describe_addon_versions, maxResults=limit) == invalid(wanted)
