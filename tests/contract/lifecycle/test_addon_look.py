"""What the commands that look say of an add-on, from nothing to ACTIVE."""

import json
from typing import Any

CLUSTER = "my-cluster"


def create(operator: Any, version: str = "v1.15.1-eksbuild.1") -> None:
    operator.eks.create_addon(clusterName=CLUSTER, addonName="vpc-cni", addonVersion=version)
    waiter = operator.eks.get_waiter("addon_active")
    waiter.wait(clusterName=CLUSTER, addonName="vpc-cni", WaiterConfig={"Delay": 0.2, "MaxAttempts": 150})


def test_status_of_a_cluster_without_the_addon(operator: Any) -> None:
    document = operator.run("status", "--json").document
    assert (document["type"], document["addon"], document["live"]) == ("absent", None, None)
    assert document["default_version"] == "v1.16.2-eksbuild.1"
    assert operator.run("status", "--exit-code").status == 8


def test_status_of_an_addon(operator: Any) -> None:
    create(operator)
    done = operator.run("status", "--json", "--exit-code")
    assert (done.status, done.err) == (0, "")
    assert done.document["type"] == "managed"
    assert done.document["addon"]["status"] == "ACTIVE"
    assert done.document["live"]["version"] == "v1.15.1-eksbuild.1"
    assert done.document["live"]["rollout"]["done"]
    assert "v1.15.1-eksbuild.1" in operator.run("status").out


def test_an_image_that_is_not_the_versions_is_a_deviation(operator: Any) -> None:
    create(operator)
    image = "registry.example.com/amazon-k8s-cni:v1.12.6"
    operator.kubectl("set", "image", "daemonset/aws-node", "-n", "kube-system", f"aws-node={image}")
    done = operator.run("status", "--json", "--exit-code")
    assert done.status == 8
    assert done.document["deviations"] == ["EKS says v1.15.1-eksbuild.1, the DaemonSet runs v1.12.6"]


def test_versions_tell_default_installed_and_what_changed(operator: Any) -> None:
    create(operator)
    rows = operator.run("versions", "--json").document["versions"]
    assert rows[0]["version"] == "v1.20.4-eksbuild.1"
    assert [each["version"] for each in rows if each["default"]] == ["v1.16.2-eksbuild.1"]
    assert [each["version"] for each in rows if each["installed"]] == ["v1.15.1-eksbuild.1"]
    assert all(each["changes"] for each in rows)
    assert "installed" in operator.run("versions").out


def test_schema_is_that_of_eks(operator: Any) -> None:
    wanted = operator.eks.describe_addon_configuration(addonName="vpc-cni", addonVersion="v1.16.2-eksbuild.1")
    assert operator.run("schema", "--version", "v1.16.2").document == json.loads(wanted["configurationSchema"])
    assert operator.run("schema").document == json.loads(wanted["configurationSchema"])


def test_a_cluster_that_eks_does_not_know_is_wrong_usage(operator: Any) -> None:
    done = operator.run("status", "--cluster-name", "other")
    assert done.status == 2
    assert "No cluster found for name: other." in done.err
