"""Rights of EKS, pod security policies, kubeconfig and nodes."""

from dataclasses import replace
from typing import Any

import pytest

from vpc_cni.lifecycle.nodes import NodeCounts, count_nodes
from vpc_cni.lifecycle.preflight.cluster import check_binding, check_nodes, check_policies, check_server
from vpc_cni.lifecycle.preflight.finding import Level
from vpc_cni.lifecycle.records import FargateProfile, parse_cluster
from vpc_cni.manifests import KubernetesVersion

BINDING: dict[str, Any] = {
    "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"kind": "User", "name": "eks:addon-manager"}],
}
OLD = KubernetesVersion(1, 24)


def policy(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"privileged": True, "hostNetwork": True, "volumes": ["*"], **spec}}


def node(kind: str = "") -> dict[str, Any]:
    labels = {"eks.amazonaws.com/compute-type": kind} if kind else {}
    return {"metadata": {"name": "n", "labels": labels}}


@pytest.mark.parametrize(
    ("binding", "level"),
    [
        (BINDING, Level.OK),
        (None, Level.FAILED),
        ({**BINDING, "subjects": []}, Level.FAILED),
        ({**BINDING, "roleRef": {"name": "view"}}, Level.FAILED),
    ],
)
def test_binding(binding: dict[str, Any] | None, level: Level) -> None:
    assert check_binding(binding).level is level


@pytest.mark.parametrize(
    ("policies", "usable", "kubernetes", "level"),
    [
        ([policy("eks.privileged")], ["eks.privileged"], OLD, Level.OK),
        ([policy("eks.privileged")], [], OLD, Level.FAILED),
        ([policy("restricted", privileged=False)], ["restricted"], OLD, Level.FAILED),
        ([policy("narrow", volumes=["configMap"])], ["narrow"], OLD, Level.FAILED),
        ([policy("folders", volumes=["hostPath"])], ["folders"], OLD, Level.OK),
        ([], [], OLD, Level.OK),
        ([], [], KubernetesVersion(1, 25), Level.SKIPPED),
    ],
)
def test_policies(policies: list[Any], usable: list[str], kubernetes: KubernetesVersion, level: Level) -> None:
    assert check_policies(policies, usable, kubernetes).level is level


def test_a_kubeconfig_of_another_cluster_is_a_warning() -> None:
    cluster = parse_cluster({"name": "c", "endpoint": "https://ABC.eks.amazonaws.com"})
    assert check_server("https://abc.eks.amazonaws.com/", cluster).level is Level.OK
    assert check_server("https://127.0.0.1:6443", cluster).level is Level.WARNING
    assert check_server("https://127.0.0.1:6443", replace(cluster, endpoint="")).level is Level.SKIPPED


def test_nodes_are_counted_by_kind() -> None:
    counts = count_nodes([node(), node("ec2"), node("fargate"), node("auto"), node("hybrid")])
    assert counts == NodeCounts(ec2=2, fargate=1, auto=1, hybrid=1)
    assert str(counts).startswith("2 of EC2, 1 of Fargate, not managed")


def test_a_cluster_of_fargate_alone_is_a_warning() -> None:
    profile = FargateProfile("fp", "ACTIVE", ("kube-system",))
    assert check_nodes(NodeCounts(fargate=3), [profile]).level is Level.WARNING
    found = check_nodes(NodeCounts(ec2=1), [profile])
    assert found.level is Level.OK
    assert "DaemonSets do not run on Fargate" in found.detail


@pytest.mark.parametrize(
    ("namespaces", "selects"),
    [(("kube-system",), True), (("default", "kube-*"), True), (("*",), True), (("kube-public",), False), ((), False)],
)
def test_profiles_that_select_the_system_are_named(namespaces: tuple[str, ...], selects: bool) -> None:
    found = check_nodes(NodeCounts(ec2=1, fargate=2), [FargateProfile("fp", "ACTIVE", namespaces)])
    assert found.level is Level.OK
    assert "Fargate profiles: fp" in found.detail
    assert "2 of Fargate, not managed" in found.detail
    assert ("fp changes nothing for it" in found.detail) is selects


@pytest.mark.parametrize("label", ["Fargate", "FARGATE", "fargate"])
def test_nodes_of_fargate_are_told_whatever_the_case(label: str) -> None:
    assert count_nodes([node(label), {"metadata": {"name": "bare"}}]) == NodeCounts(ec2=1, fargate=1)
