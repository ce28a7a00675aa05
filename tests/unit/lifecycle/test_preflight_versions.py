"""Cluster, version, path, values and associations."""

from dataclasses import replace

import pytest

from vpc_cni.lifecycle.preflight.finding import Level
from vpc_cni.lifecycle.preflight.versions import (
    check_cluster,
    check_path,
    check_pod_identity,
    check_settled,
    check_values,
    check_version,
)
from vpc_cni.lifecycle.records import EksCluster, Issue, ManagedAddon, parse_cluster
from vpc_cni.manifests import packaged_catalogue

CATALOGUE = packaged_catalogue()
NEW = "v1.16.2-eksbuild.1"
CLUSTER = replace(parse_cluster({"name": "c", "version": "1.29"}), status="ACTIVE")


def addon(status: str, *issues: Issue) -> ManagedAddon:
    return ManagedAddon("v1.15.1-eksbuild.1", status, issues)


@pytest.mark.parametrize(
    ("cluster", "level"),
    [
        (CLUSTER, Level.OK),
        (replace(CLUSTER, status="UPDATING"), Level.OK),
        (replace(CLUSTER, status="CREATING"), Level.FAILED),
        (replace(CLUSTER, auto_mode=True), Level.WARNING),
    ],
)
def test_cluster(cluster: EksCluster, level: Level) -> None:
    assert check_cluster(cluster).level is level


@pytest.mark.parametrize(
    ("current", "level"),
    [
        (None, Level.OK),
        (addon("ACTIVE"), Level.OK),
        (addon("UPDATING"), Level.FAILED),
        (addon("DEGRADED", Issue("InsufficientNumberOfReplicas", "x")), Level.WARNING),
    ],
)
def test_settled(current: ManagedAddon | None, level: Level) -> None:
    assert check_settled(current).level is level


@pytest.mark.parametrize(
    ("version", "kubernetes", "family", "level"),
    [
        (NEW, "1.29", "ipv4", Level.OK),
        ("v1.16.0-eksbuild.1", "1.24", "ipv4", Level.OK),
        ("v1.16.0-eksbuild.1", "1.23", "ipv4", Level.FAILED),
        ("v1.17.9-eksbuild.1", "1.29", "ipv4", Level.FAILED),
        ("v1.9.3-eksbuild.1", "1.29", "ipv6", Level.FAILED),
        ("v1.9.3-eksbuild.1", "1.29", "ipv4", Level.OK),
    ],
)
def test_version(version: str, kubernetes: str, family: str, level: Level) -> None:
    offered = {NEW, "v1.16.0-eksbuild.1", "v1.9.3-eksbuild.1"}
    cluster = replace(CLUSTER, version=kubernetes, ip_family=family)
    assert check_version(version, offered, cluster, CATALOGUE).level is level


def test_a_path_over_several_minors_is_told() -> None:
    assert check_path([NEW], addon("ACTIVE")).level is Level.OK
    found = check_path(["v1.16.4-eksbuild.2", "v1.17.1-eksbuild.1"], addon("ACTIVE"))
    assert found.level is Level.WARNING
    assert "v1.15.1-eksbuild.1 -> v1.16.4-eksbuild.2 -> v1.17.1-eksbuild.1" in found.detail


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (None, Level.OK),
        ("{}", Level.OK),
        ('{"env":{"WARM_IP_TARGET":"5"}}', Level.OK),
        ('{"env":{"ENABLE_POD_ENI":"maybe"}}', Level.FAILED),
        ('{"Env":{}}', Level.FAILED),
        ("[", Level.FAILED),
    ],
)
def test_values(text: str | None, level: Level) -> None:
    assert check_values("values", text, NEW, CLUSTER, CATALOGUE).level is level


def test_network_policy_needs_a_cluster_that_has_it() -> None:
    text = '{"enableNetworkPolicy":"true"}'
    assert check_values("values", text, NEW, CLUSTER, CATALOGUE).level is Level.OK
    assert check_values("values", text, NEW, replace(CLUSTER, version="1.24"), CATALOGUE).level is Level.FAILED


def test_a_version_without_a_profile_leaves_values_to_eks() -> None:
    assert check_values("values", "{}", "v1.18.3-eksbuild.1", CLUSTER, CATALOGUE).level is Level.SKIPPED


def test_pod_identity() -> None:
    assert check_pod_identity("v1.15.1-eksbuild.1", 0).level is Level.OK
    assert check_pod_identity("v1.15.1-eksbuild.1", 1).level is Level.FAILED
    assert check_pod_identity(NEW, 1).level is Level.OK
