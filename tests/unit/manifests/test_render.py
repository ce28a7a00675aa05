"""The rendered objects: what is as in the reference, what is ours, and what is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from vpc_cni.errors import ConfigurationError
from vpc_cni.manifests import (
    AddonVersion,
    ImageSet,
    IpFamily,
    Manifest,
    Partition,
    Rendered,
    RenderOptions,
    encode_yaml,
    find_region,
    packaged_catalogue,
    parse_addon_version,
    parse_registry,
    parse_yaml,
    plan_images,
    read_configuration,
    render,
)
from vpc_cni.manifests.access import plan_rules

CATALOGUE = packaged_catalogue()
OWN, AWS = ImageSet.OWN, ImageSet.AWS
PROBE = ["/app/grpc-health-probe", "-addr=:50051", "-connect-timeout=5s", "-rpc-timeout=5s"]
POD_LABELS = {
    "app.kubernetes.io/name": "aws-node",
    "app.kubernetes.io/instance": "aws-vpc-cni",
    "k8s-app": "aws-node",
}


def rendered(
    image_set: ImageSet = OWN, version: str = "v1.16.2", values: Mapping[str, Any] | None = None, **more: Any
) -> Rendered:
    profile = CATALOGUE.find(parse_addon_version(version))
    registry = find_region("us-west-2").registry if image_set is AWS else parse_registry("mirror.example.com:5000")
    assert registry is not None
    configuration = read_configuration(values or {}, profile)
    images = plan_images(profile, image_set, registry)
    return render(profile, RenderOptions(images, configuration, **more))


def pick(result: Rendered, kind: str, name: str = "aws-node") -> Manifest:
    (found,) = [each for each in result.objects if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pod_of(result: Rendered) -> Manifest:
    spec: Manifest = pick(result, "DaemonSet")["spec"]["template"]["spec"]
    return spec


def container(result: Rendered, name: str = "aws-node") -> Manifest:
    pod = pod_of(result)
    (found,) = [each for each in pod["initContainers"] + pod["containers"] if each["name"] == name]
    return dict(found)


def env_of(result: Rendered, name: str = "aws-node") -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(result, name)["env"] if "value" in each}


def rules_of(result: Rendered) -> set[tuple[str, str, str]]:
    """Return (group, resource, verb) of the ClusterRole."""
    return {
        (group, resource, verb)
        for rule in pick(result, "ClusterRole")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("image_set", ImageSet)
def test_names_labels_selector_and_strategy_are_the_references(image_set: ImageSet) -> None:
    daemon_set = pick(rendered(image_set), "DaemonSet")
    assert daemon_set["metadata"]["namespace"] == "kube-system"
    assert daemon_set["metadata"]["labels"] == {**POD_LABELS, "app.kubernetes.io/version": "v1.16.2"}
    assert daemon_set["spec"]["selector"] == {"matchLabels": {"k8s-app": "aws-node"}}
    assert daemon_set["spec"]["template"]["metadata"]["labels"] == POD_LABELS
    assert daemon_set["spec"]["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": "10%"}


@pytest.mark.parametrize("image_set", ImageSet)
def test_the_pod_is_the_references(image_set: ImageSet) -> None:
    pod = pod_of(rendered(image_set))
    assert pod["priorityClassName"] == "system-node-critical"
    assert pod["hostNetwork"] is True
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["terminationGracePeriodSeconds"] == 10
    (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [(each["key"], each["operator"], each["values"]) for each in term["matchExpressions"]] == [
        ("kubernetes.io/os", "In", ["linux"]),
        ("kubernetes.io/arch", "In", ["amd64", "arm64"]),
        ("eks.amazonaws.com/compute-type", "NotIn", ["fargate"]),
    ]


@pytest.mark.parametrize("image_set", ImageSet)
def test_port_probes_and_request_are_the_references(image_set: ImageSet) -> None:
    agent = container(rendered(image_set))
    assert agent["ports"] == [{"containerPort": 61678, "name": "metrics"}]
    liveness = [*PROBE, "-service=liveness"] if image_set is OWN else PROBE
    assert agent["livenessProbe"] == {"exec": {"command": liveness}, "initialDelaySeconds": 60, "timeoutSeconds": 10}
    assert agent["readinessProbe"] == {"exec": {"command": PROBE}, "initialDelaySeconds": 1, "timeoutSeconds": 10}
    assert agent["resources"] == {"requests": {"cpu": "25m"}}


@pytest.mark.parametrize("image_set", ImageSet)
def test_the_environment_is_the_references_in_order(image_set: ImageSet) -> None:
    env = container(rendered(image_set))["env"]
    literal = [each["name"] for each in env if "value" in each]
    assert len(literal) == 21
    assert literal == sorted(literal)
    assert env[-2:] == [
        {"name": "MY_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "MY_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    values = env_of(rendered(image_set))
    assert values["VPC_CNI_VERSION"] == "v1.16.2"
    assert values["ADDITIONAL_ENI_TAGS"] == "{}"
    assert values["ENABLE_IPv4"] == "true"
    assert env_of(rendered(image_set), "aws-vpc-cni-init") == {
        "DISABLE_TCP_EARLY_DEMUX": "false",
        "ENABLE_IPv6": "false",
    }


def test_the_objects_of_the_reference() -> None:
    assert [(each["kind"], each["metadata"]["name"]) for each in rendered(AWS).objects] == [
        ("CustomResourceDefinition", "eniconfigs.crd.k8s.amazonaws.com"),
        ("CustomResourceDefinition", "policyendpoints.networking.k8s.aws"),
        ("ServiceAccount", "aws-node"),
        ("ConfigMap", "amazon-vpc-cni"),
        ("ClusterRole", "aws-node"),
        ("ClusterRoleBinding", "aws-node"),
        ("DaemonSet", "aws-node"),
    ]


def test_our_objects_leave_out_network_policy() -> None:
    kinds = {each["metadata"]["name"] for each in rendered(AWS).objects}
    ours = {each["metadata"]["name"] for each in rendered(OWN).objects}
    assert kinds - ours == {"policyendpoints.networking.k8s.aws"}
    assert [each["name"] for each in pod_of(rendered(OWN))["containers"]] == ["aws-node"]


def test_the_references_containers_mounts_and_privileges() -> None:
    result = rendered(AWS)
    assert container(result)["securityContext"] == {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}
    assert container(result, "aws-vpc-cni-init")["securityContext"] == {"privileged": True}
    policy = container(result, "aws-eks-nodeagent")
    assert policy["securityContext"] == {"capabilities": {"add": ["NET_ADMIN"]}, "privileged": True}
    assert policy["args"] == [
        "--enable-ipv6=false",
        "--enable-network-policy=false",
        "--enable-cloudwatch-logs=false",
        "--enable-policy-event-logs=false",
        "--metrics-bind-addr=:8162",
        "--health-probe-bind-addr=:8163",
        "--conntrack-cache-cleanup-period=300",
    ]
    assert [mount["mountPath"] for mount in container(result)["volumeMounts"]] == [
        "/host/opt/cni/bin",
        "/host/etc/cni/net.d",
        "/host/var/log/aws-routed-eni",
        "/var/run/aws-node",
        "/run/xtables.lock",
    ]


def test_our_agent_has_one_capability_and_a_read_only_root() -> None:
    context = container(rendered())["securityContext"]
    assert context == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
        "readOnlyRootFilesystem": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_our_init_container_has_no_capability_unless_it_must_write_a_global_sysctl() -> None:
    context = container(rendered(), "aws-vpc-cni-init")["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert "privileged" not in context
    demux = rendered(values={"init": {"env": {"DISABLE_TCP_EARLY_DEMUX": "true"}}})
    assert container(demux, "aws-vpc-cni-init")["securityContext"] == {"privileged": True}


@pytest.mark.parametrize("image_set", ImageSet)
@pytest.mark.parametrize("version", ["v1.12.6", "v1.15.1", "v1.16.0", "v1.16.2-eksbuild.1"])
def test_every_mount_has_a_volume_and_every_volume_a_mount(image_set: ImageSet, version: str) -> None:
    pod = pod_of(rendered(image_set, version))
    mounted = {
        mount["name"] for each in pod["initContainers"] + pod["containers"] for mount in each.get("volumeMounts", [])
    }
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_our_rules_are_a_part_of_the_references() -> None:
    ours, theirs = rules_of(rendered(OWN)), rules_of(rendered(AWS))
    assert ours < theirs
    assert not {verb for _group, resource, verb in ours if resource != "events"} & {"create", "patch", "update"}


def test_the_references_rules_are_those_of_its_manifest() -> None:
    assert rules_of(rendered(AWS)) == {
        *(("crd.k8s.amazonaws.com", "eniconfigs", verb) for verb in ("list", "watch", "get")),
        *(("", kind, verb) for kind in ("namespaces", "pods", "nodes") for verb in ("list", "watch", "get")),
        *((group, "events", verb) for group in ("", "events.k8s.io") for verb in ("create", "patch", "list")),
        *(("networking.k8s.aws", "policyendpoints", verb) for verb in ("get", "list", "watch")),
        ("networking.k8s.aws", "policyendpoints/status", "get"),
        *(("vpcresources.k8s.aws", "cninodes", verb) for verb in ("get", "list", "watch", "patch")),
    }


def test_an_old_version_has_fewer_objects_and_variables() -> None:
    result = rendered(AWS, "v1.12.6-eksbuild.2")
    assert "ConfigMap" not in [each["kind"] for each in result.objects]
    assert len(pod_of(result)["containers"]) == 1
    assert "VPC_CNI_VERSION" not in env_of(result)
    assert container(result)["image"].endswith("/amazon-k8s-cni:v1.12.6-eksbuild.2")


def test_the_version_label_has_no_build() -> None:
    result = rendered(AWS, "v1.16.2-eksbuild.1")
    assert pick(result, "ServiceAccount")["metadata"]["labels"]["app.kubernetes.io/version"] == "v1.16.2"
    assert env_of(result)["VPC_CNI_VERSION"] == "v1.16.2"


def test_values_and_variables_are_laid_over_the_defaults() -> None:
    values = {
        "env": {"WARM_ENI_TARGET": "2", "WARM_IP_TARGET": "5"},
        "resources": {"limits": {"memory": "128Mi"}},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "readinessProbeTimeoutSeconds": 3,
        "enableWindowsIpam": "true",
    }
    result = rendered(values=values, env={"WARM_IP_TARGET": "7", "CLUSTER_NAME": "prod"})
    env = env_of(result)
    assert (env["WARM_ENI_TARGET"], env["WARM_IP_TARGET"], env["CLUSTER_NAME"]) == ("2", "7", "prod")
    agent = container(result)
    assert agent["resources"] == {"limits": {"memory": "128Mi"}}
    assert agent["readinessProbe"]["timeoutSeconds"] == 3
    assert pod_of(result)["tolerations"] == [{"key": "a", "operator": "Exists"}]
    assert pod_of(result)["affinity"] == {"nodeAffinity": {}}
    assert pick(result, "ConfigMap", "amazon-vpc-cni")["data"]["enable-windows-ipam"] == "true"


def test_a_node_name_may_be_given_by_hand() -> None:
    env = container(rendered(env={"MY_NODE_NAME": "n1"}))["env"]
    assert [each for each in env if each["name"] == "MY_NODE_NAME"] == [{"name": "MY_NODE_NAME", "value": "n1"}]


def test_network_policy_turns_on_both_sides_in_the_reference() -> None:
    result = rendered(AWS, values={"enableNetworkPolicy": "true"})
    assert pick(result, "ConfigMap", "amazon-vpc-cni")["data"]["enable-network-policy-controller"] == "true"
    assert "--enable-network-policy=true" in container(result, "aws-eks-nodeagent")["args"]


def test_ipv6_turns_on_all_places_in_the_reference() -> None:
    result = rendered(AWS, ip_family=IpFamily.IPV6)
    assert (env_of(result)["ENABLE_IPv4"], env_of(result)["ENABLE_IPv6"]) == ("false", "true")
    assert env_of(result, "aws-vpc-cni-init")["ENABLE_IPv6"] == "true"
    assert "--enable-ipv6=true" in container(result, "aws-eks-nodeagent")["args"]


def test_eni_configs_follow_the_definition() -> None:
    values = {
        "eniConfig": {
            "create": True,
            "region": "us-west-2",
            "subnets": {"us-west-2b": {"id": "subnet-2"}, "us-west-2a": {"id": "subnet-1", "securityGroups": ["sg-1"]}},
        }
    }
    objects = rendered(AWS, values=values).objects
    assert [(each["metadata"]["name"], each["spec"]) for each in objects[-2:]] == [
        ("us-west-2a", {"securityGroups": ["sg-1"], "subnet": "subnet-1"}),
        ("us-west-2b", {"subnet": "subnet-2"}),
    ]


ENI_CONFIG = {"eniConfig": {"create": True, "region": "r", "subnets": {"a": {"id": "s"}}}}


@pytest.mark.parametrize(
    ("values", "more", "problem"),
    [
        ({"enableNetworkPolicy": "true"}, {}, "enableNetworkPolicy: network policy is not built yet"),
        (ENI_CONFIG, {}, "eniConfig: custom networking is not built yet"),
        ({"env": {"ENABLE_PREFIX_DELEGATION": "true"}}, {}, "prefix delegation is not built yet"),
        ({"env": {"ENABLE_POD_ENI": "true"}}, {}, "security groups for pods are not built yet"),
        ({}, {"ip_family": IpFamily.IPV6}, "IPv6 pods are not built yet"),
        ({"env": {"AWS_VPC_ENI_MTU": "70000"}}, {}, 'AWS_VPC_ENI_MTU="70000": use a whole number from 576 to 9001'),
        ({}, {"env": {"VPC_CNI_MAX_PODS": "none"}}, "VPC_CNI_MAX_PODS"),
        ({}, {"env": {"1X": "a"}}, "'1X' is no name of a variable"),
        ({}, {"role_arn": "role"}, "is no role"),
        (
            {},
            {"role_arn": "arn:aws:iam::111122223333:role/R", "partition": Partition.CHINA},
            "another partition than the region: aws-cn",
        ),
    ],
)
def test_what_our_agent_cannot_do_is_refused_by_name(
    values: dict[str, Any], more: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        rendered(OWN, values=values, **more)
    assert problem in caught.value.message


def test_everything_that_is_refused_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        rendered(values={"enableNetworkPolicy": "true", "env": {"ENABLE_POD_ENI": "true", "MAX_ENI": "-7"}})
    assert len(caught.value.message.splitlines()) == 4


def test_what_has_no_effect_here_is_noted() -> None:
    assert rendered().notes == ()
    notes = rendered(values={"nodeAgent": {"metricsBindAddr": "9"}}, env={"VPC_CNI_MAXPODS": "9"}).notes
    assert any("nodeAgent has no effect" in note for note in notes)
    assert any("did you mean VPC_CNI_MAX_PODS?" in note for note in notes)


def test_what_the_reference_would_ignore_is_noted() -> None:
    more = {"POD_MTU": "1500", "VPC_CNI_MAX_PODS": "9", "HTTPS_PROXY": "http://p", "CLUSTER_NAME": "a"}
    assert rendered(AWS, "v1.16.2", env=more).notes == (
        "VPC_CNI_MAX_PODS has no effect: the reference does not know it",
        "POD_MTU has no effect in v1.16.2: it came with v1.16.4",
    )


def test_the_reference_is_not_judged_by_our_settings() -> None:
    assert (
        env_of(rendered(AWS, values={"env": {"ENABLE_PREFIX_DELEGATION": "true"}}))["ENABLE_PREFIX_DELEGATION"]
        == "true"
    )


def test_a_role_is_an_annotation_of_the_service_account() -> None:
    role = "arn:aws-us-gov:iam::111122223333:role/path/AmazonEKSVPCCNIRole"
    account = pick(rendered(role_arn=role, partition=Partition.GOV_CLOUD), "ServiceAccount")
    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": role}
    assert "annotations" not in pick(rendered(), "ServiceAccount")["metadata"]


def test_annotating_pods_asks_for_the_right_to_patch_them() -> None:
    profile = CATALOGUE.find(AddonVersion(1, 16, 2))
    rules = plan_rules(profile, OWN, {"ANNOTATE_POD_IP": "true"})
    assert any("patch" in rule.verbs and "pods" in rule.resources for rule in rules)


@pytest.mark.parametrize("image_set", ImageSet)
@pytest.mark.parametrize("version", ["v1.12.6", "v1.15.1", "v1.16.0", "v1.16.2"])
def test_the_text_reads_back_as_the_same_objects(image_set: ImageSet, version: str) -> None:
    objects = rendered(image_set, version).objects
    text = encode_yaml(objects, "a comment\non two lines")
    assert text.startswith("# a comment\n# on two lines\n---\n")
    assert parse_yaml(text, "the text") == list(objects)
    assert text == encode_yaml(rendered(image_set, version).objects, "a comment\non two lines")
