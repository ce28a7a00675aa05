"""Clusters, Fargate profiles, associations, tags and the catalogue; answers are checked against the service model."""

import json
from typing import Any

import pytest
import yaml
from api_shapes import MODEL
from api_site import ACCOUNT, REGION, ROLE, Site
from botocore.exceptions import ClientError
from test_api_signatures import send

from vpc_cni.addons.api.operations import OPERATIONS
from vpc_cni.addons.model import Network

NAME = {"addonName": "vpc-cni"}
ARN = f"arn:aws:eks:{REGION}:{ACCOUNT}"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_operations_are_where_the_service_model_says(operation: Any) -> None:
    model = MODEL.operation_model(operation.name)
    labels = [part for part in operation.path.split("/") if part.startswith("{")]
    wanted = model.http["requestUri"].partition("?")[0].split("/")
    found = operation.path.split("/")
    assert operation.method == model.http["method"]
    assert len(labels) == len([part for part in wanted if part.startswith("{")])
    assert [part if not part.startswith("{") else "{}" for part in found] == [
        part if not part.startswith("{") else "{}" for part in wanted
    ]
    takes_token = any(each.metadata.get("idempotencyToken") for each in model.input_shape.members.values())
    # Repeated, these two do nothing or are refused all the same.
    assert operation.is_repeatable == (takes_token and operation.name not in _TOKEN_NOT_NEEDED)


_TOKEN_NOT_NEEDED = {"CreateCluster", "CancelUpdate"}


def test_a_cluster(site: Site, eks: Any, cluster: str) -> None:
    found = eks.describe_cluster(name=cluster)["cluster"]
    assert found["arn"] == f"{ARN}:cluster/{cluster}"
    assert found["version"] == "1.29"
    assert found["endpoint"] == "https://10.0.0.1:6443"
    assert found["certificateAuthority"] == {"data": "Q0VSVElGSUNBVEU="}
    assert found["status"] == "ACTIVE"
    assert found["kubernetesNetworkConfig"] == {"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4"}
    assert found["identity"]["oidc"]["issuer"].startswith(f"https://oidc.eks.{REGION}.amazonaws.com/id/")
    assert cluster in eks.list_clusters()["clusters"]
    six = site.register("ip-six", network=Network(family="ipv6", service_cidr="fd00::/108"))
    network = eks.describe_cluster(name=six)["cluster"]["kubernetesNetworkConfig"]
    assert network == {"serviceIpv6Cidr": "fd00::/108", "ipFamily": "ipv6"}


def test_clusters_are_registered_and_not_created(eks: Any, cluster: str) -> None:
    members = {"roleArn": ROLE, "resourcesVpcConfig": {"subnetIds": ["subnet-1"]}}
    with pytest.raises(eks.exceptions.ClientException, match="vpc-cni addons register-cluster"):
        eks.create_cluster(name="brand-new", **members)
    with pytest.raises(eks.exceptions.ResourceInUseException, match=f"Cluster already exists with name: {cluster}"):
        eks.create_cluster(name=cluster, **members)


def test_a_cluster_is_forgotten_once_nothing_is_on_it(site: Site, eks: Any, cluster: str) -> None:
    eks.create_addon(clusterName=cluster, **NAME)
    with pytest.raises(eks.exceptions.ResourceInUseException, match="add-on vpc-cni"):
        eks.delete_cluster(name=cluster)
    site.end_work()
    eks.delete_addon(clusterName=cluster, **NAME, preserve=True)
    site.end_work()
    assert eks.delete_cluster(name=cluster)["cluster"]["status"] == "DELETING"
    eks.get_waiter("cluster_deleted").wait(name=cluster, WaiterConfig={"Delay": 0, "MaxAttempts": 1})


def test_the_version_of_a_cluster_goes_up_by_one(eks: Any, cluster: str) -> None:
    update = eks.update_cluster_version(name=cluster, version="1.30")["update"]
    assert (update["type"], update["status"]) == ("VersionUpdate", "Successful")
    assert update["params"] == [{"type": "Version", "value": "1.30"}, {"type": "PlatformVersion", "value": "eks.1"}]
    assert eks.describe_update(name=cluster, updateId=update["id"])["update"] == update
    assert eks.list_updates(name=cluster)["updateIds"] == [update["id"]]
    assert eks.describe_cluster(name=cluster)["cluster"]["version"] == "1.30"
    with pytest.raises(eks.exceptions.InvalidRequestException, match="cannot be cancelled as it is Successful"):
        eks.cancel_update(name=cluster, updateId=update["id"])
    for version in ("1.29", "1.30", "1.32", "2.31"):
        message = f"Unsupported Kubernetes minor version update from 1.30 to {version}"
        with pytest.raises(eks.exceptions.InvalidParameterException, match=message):
            eks.update_cluster_version(name=cluster, version=version)
    for version in ("new", "1.31.2", "1", ""):
        with pytest.raises(eks.exceptions.InvalidParameterException):
            eks.update_cluster_version(name=cluster, version=version)
    with pytest.raises(eks.exceptions.InvalidParameterException, match="rollbackConfig is not supported"):
        eks.update_cluster_version(name=cluster, version="1.31", rollbackConfig={"timeoutMinutes": 3})


def test_cluster_versions(eks: Any) -> None:
    usual = eks.describe_cluster_versions()["clusterVersions"]
    assert [each["clusterVersion"] for each in usual] == [f"1.{minor}" for minor in range(36, 22, -1)]
    assert {each["versionStatus"] for each in usual} == {"STANDARD_SUPPORT"}
    assert [each["clusterVersion"] for each in usual if each["defaultVersion"]] == ["1.36"]

    def names(**members: Any) -> list[str]:
        return [each["clusterVersion"] for each in eks.describe_cluster_versions(**members)["clusterVersions"]]

    assert names(defaultOnly=True) == ["1.36"]
    assert names(clusterVersions=["1.25", "1.36", "0.1"]) == ["1.36", "1.25"]
    assert "1.23" in names(includeAll=True)
    assert names(versionStatus="UNSUPPORTED") == []
    assert names(status="standard-support") == [each["clusterVersion"] for each in usual]
    assert names(clusterType="other") == []


def test_fargate_profiles(eks: Any, cluster: str) -> None:
    names = {"clusterName": cluster, "fargateProfileName": "batch"}
    selectors = [{"namespace": "batch-*", "labels": {"tier": "low"}}, {"namespace": "kube-system", "labels": {}}]
    members = {"podExecutionRoleArn": ROLE, "subnets": ["subnet-1"], "tags": {"a": "b"}}
    made = eks.create_fargate_profile(**names, **members, selectors=selectors)["fargateProfile"]
    assert made["status"] == "CREATING"
    assert made["fargateProfileArn"].startswith(f"{ARN}:fargateprofile/{cluster}/batch/")
    assert made["selectors"] == selectors
    found = eks.describe_fargate_profile(**names)["fargateProfile"]
    assert found == {**made, "status": "ACTIVE"}
    at_once = {"WaiterConfig": {"Delay": 0, "MaxAttempts": 1}}
    eks.get_waiter("fargate_profile_active").wait(**names, **at_once)
    with pytest.raises(eks.exceptions.ResourceInUseException):
        eks.create_fargate_profile(**names, **members, selectors=selectors)
    assert eks.list_fargate_profiles(clusterName=cluster)["fargateProfileNames"] == ["batch"]
    with pytest.raises(eks.exceptions.ResourceInUseException, match="Fargate profile batch"):
        eks.delete_cluster(name=cluster)
    assert eks.delete_fargate_profile(**names)["fargateProfile"]["status"] == "DELETING"
    eks.get_waiter("fargate_profile_deleted").wait(**names, **at_once)


@pytest.mark.parametrize(
    "change",
    [
        {"selectors": []},
        {"selectors": [{"namespace": "x"}] * 6},
        {"selectors": [{"labels": {"a": "b"}}]},
        {"selectors": [{"namespace": "x", "labels": {str(number): "" for number in range(6)}}]},
        {"fargateProfileName": "x" * 64},
        {"fargateProfileName": "a/b"},
        {"subnets": [""]},
    ],
    ids=str,
)
def test_fargate_profiles_that_cannot_be(eks: Any, cluster: str, change: dict[str, Any]) -> None:
    members = {
        "clusterName": cluster,
        "fargateProfileName": "f",
        "podExecutionRoleArn": ROLE,
        "selectors": [{"namespace": "x"}],
    }
    with pytest.raises(eks.exceptions.InvalidParameterException):
        eks.create_fargate_profile(**{**members, **change})


def test_pod_identity_associations(eks: Any, cluster: str) -> None:
    members = {"namespace": "default", "serviceAccount": "app", "roleArn": ROLE, "tags": {"a": "b"}}
    made = eks.create_pod_identity_association(clusterName=cluster, **members)["association"]
    names = {"clusterName": cluster, "associationId": made["associationId"]}
    assert made["associationArn"] == f"{ARN}:podidentityassociation/{cluster}/{made['associationId']}"
    assert eks.describe_pod_identity_association(**names)["association"] == made
    changed = eks.update_pod_identity_association(**names, roleArn=f"{ROLE}2")["association"]
    assert changed["roleArn"] == f"{ROLE}2"
    assert eks.update_pod_identity_association(**names)["association"]["roleArn"] == f"{ROLE}2"

    def listed(**filters: str) -> int:
        return len(eks.list_pod_identity_associations(clusterName=cluster, **filters)["associations"])

    assert (listed(), listed(namespace="default"), listed(serviceAccount="app", namespace="default")) == (1, 1, 1)
    assert (listed(namespace="other"), listed(serviceAccount="other")) == (0, 0)
    with pytest.raises(eks.exceptions.InvalidParameterException, match="targetRoleArn is not supported"):
        eks.update_pod_identity_association(**names, targetRoleArn=ROLE)
    eks.delete_pod_identity_association(**names)
    with pytest.raises(eks.exceptions.ResourceNotFoundException):
        eks.describe_pod_identity_association(**names)
    for change in ({"namespace": "A b"}, {"serviceAccount": "A b"}, {"disableSessionTags": True}):
        with pytest.raises(eks.exceptions.InvalidParameterException):
            eks.create_pod_identity_association(clusterName=cluster, **{**members, **change})


def test_a_repeated_change_of_an_association_undoes_no_later_one(eks: Any, cluster: str) -> None:
    members = {"namespace": "default", "serviceAccount": "app", "roleArn": ROLE}
    made = eks.create_pod_identity_association(clusterName=cluster, **members)["association"]
    names = {"clusterName": cluster, "associationId": made["associationId"]}
    change = {**names, "roleArn": f"{ROLE}2", "clientRequestToken": f"token-of-{made['associationId']}"}
    first = eks.update_pod_identity_association(**change)["association"]
    eks.update_pod_identity_association(**names, roleArn=f"{ROLE}3")
    assert eks.update_pod_identity_association(**change)["association"] == first
    assert eks.describe_pod_identity_association(**names)["association"]["roleArn"] == f"{ROLE}3"
    with pytest.raises(eks.exceptions.InvalidRequestException):
        eks.update_pod_identity_association(**{**change, "roleArn": f"{ROLE}4"})


def test_an_association_of_an_addon_is_changed_with_it_only(site: Site, eks: Any, cluster: str) -> None:
    identity = {"serviceAccount": "aws-node", "roleArn": ROLE}
    addon = eks.create_addon(clusterName=cluster, **NAME, podIdentityAssociations=[identity])["addon"]
    names = {"clusterName": cluster, "associationId": addon["podIdentityAssociations"][0].rpartition("/")[2]}
    for call in (eks.update_pod_identity_association, eks.delete_pod_identity_association):
        with pytest.raises(eks.exceptions.InvalidRequestException, match="is owned by"):
            call(**names)


def test_tags_of_everything_with_an_arn(site: Site, eks: Any, cluster: str) -> None:
    addon = eks.create_addon(clusterName=cluster, **NAME, tags={"first": "1"})["addon"]
    profile = eks.create_fargate_profile(
        clusterName=cluster, fargateProfileName="f", podExecutionRoleArn=ROLE, selectors=[{"namespace": "x"}]
    )["fargateProfile"]
    association = eks.create_pod_identity_association(
        clusterName=cluster, namespace="default", serviceAccount="a", roleArn=ROLE
    )["association"]
    arns = [
        addon["addonArn"],
        profile["fargateProfileArn"],
        association["associationArn"],
        f"{ARN}:cluster/{cluster}",
    ]
    for arn in arns:
        eks.tag_resource(resourceArn=arn, tags={"second": "2", "odd key=/+ü": ""})
        eks.untag_resource(resourceArn=arn, tagKeys=["first", "never there"])
        assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"second": "2", "odd key=/+ü": ""}
        eks.untag_resource(resourceArn=arn, tagKeys=["odd key=/+ü"])
        many = {f"key-{number}": "" for number in range(50)}
        with pytest.raises(ClientError, match="up to 50 tags"):
            eks.tag_resource(resourceArn=arn, tags=many)
        assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"second": "2"}
    assert eks.describe_addon(clusterName=cluster, **NAME)["addon"]["tags"] == {"second": "2"}


def test_versions_of_the_addon(eks: Any) -> None:
    [addon] = eks.describe_addon_versions(addonName="vpc-cni", kubernetesVersion="1.29")["addons"]
    assert (addon["type"], addon["owner"], addon["publisher"]) == ("networking", "aws", "eks")
    found = {each["addonVersion"]: each for each in addon["addonVersions"]}
    assert next(iter(found)) == "v1.20.4-eksbuild.1"
    assert list(found)[-3:] == ["v1.16.2-eksbuild.1", "v1.16.0-eksbuild.1", "v1.15.1-eksbuild.1"]
    usual = found["v1.16.2-eksbuild.1"]
    assert usual["architecture"] == ["amd64", "arm64"]
    assert usual["computeTypes"] == ["ec2"]
    assert usual["compatibilities"] == [{"clusterVersion": "1.29", "platformVersions": ["*"], "defaultVersion": True}]
    assert (usual["requiresConfiguration"], usual["requiresIamPermissions"]) == (False, True)
    defaults = [name for name, each in found.items() if each["compatibilities"][0]["defaultVersion"]]
    assert defaults == ["v1.16.2-eksbuild.1"]
    [whole] = eks.describe_addon_versions()["addons"]
    [every] = [each for each in whole["addonVersions"] if each["addonVersion"] == "v1.16.2-eksbuild.1"]
    clusters = [each["clusterVersion"] for each in every["compatibilities"]]
    assert clusters == ["1.29", "1.28", "1.27", "1.26", "1.25", "1.24", "1.23"]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"addonName": "coredns"}, 0),
        ({"kubernetesVersion": "1.99"}, 0),
        ({"kubernetesVersion": "new"}, 0),
        ({"types": ["networking", "storage"]}, 1),
        ({"types": ["storage"]}, 0),
        ({"owners": ["aws"], "publishers": ["eks"]}, 1),
        ({"owners": ["aws-marketplace"]}, 0),
    ],
)
def test_versions_of_the_addon_by_filters(eks: Any, filters: dict[str, Any], count: int) -> None:
    assert len(eks.describe_addon_versions(**filters)["addons"]) == count


def test_the_configuration_of_a_version(eks: Any) -> None:
    found = eks.describe_addon_configuration(**NAME, addonVersion="v1.16.2-eksbuild.1")
    schema = json.loads(found["configurationSchema"])
    assert schema["$ref"] == "#/definitions/VpcCni"
    assert "AWS_VPC_K8S_CNI_EXTERNALSNAT" in schema["definitions"]["Env"]["properties"]
    assert ": " not in found["configurationSchema"], "compact"
    assert found["podIdentityConfiguration"] == [
        {
            "serviceAccount": "aws-node",
            "recommendedManagedPolicies": ["arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"],
        }
    ]
    older = eks.describe_addon_configuration(**NAME, addonVersion="v1.12.6-eksbuild.2")
    assert older["podIdentityConfiguration"] == []


@pytest.mark.parametrize("start", ["", "/aws/amazon-vpc-cni-k8s"])
def test_the_manifest_is_where_the_reference_publishes_it(site: Site, start: str) -> None:
    status, _, body = send(site, "GET", f"{start}/v1.16.2/config/master/aws-k8s-cni.yaml")
    assert status == 200
    [daemon_set] = [each for each in yaml.safe_load_all(body) if each["kind"] == "DaemonSet"]
    images = [each["image"] for each in daemon_set["spec"]["template"]["spec"]["containers"]]
    assert images == ["registry.example.com/amazon-k8s-cni:v1.16.2"]


def test_manifests_that_nobody_publishes(site: Site) -> None:
    for target in (
        "/v9.9.9/config/master/aws-k8s-cni.yaml",
        "/v1.16.2/config/master/aws-k8s-cni-mars.yaml",
        "/v1.16.2.3/config/master/aws-k8s-cni.yaml",
    ):
        assert send(site, "GET", target) == (404, None, b"404: Not Found")
    assert send(site, "POST", "/v1.16.2/config/master/aws-k8s-cni.yaml")[0] == 404
