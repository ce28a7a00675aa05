"""The pages of a running agent, under the names and in the layout that the field knows."""

from collections.abc import Iterator
from typing import Any

import pytest
from live_node import LiveNode, Sandbox

# Source: amazon-vpc-cni-k8s, utils/prometheusmetrics.
REFERENCE_METRICS = {
    "awscni_add_ip_req_count",
    "awscni_assigned_ip_addresses",
    "awscni_assigned_ip_per_cidr",
    "awscni_assigned_ip_per_eni",
    "awscni_aws_api_error_count",
    "awscni_aws_api_latency_ms",
    "awscni_build_info",
    "awscni_del_ip_req_count",
    "awscni_ec2api_error_count",
    "awscni_ec2api_req_count",
    "awscni_eni_allocated",
    "awscni_eni_max",
    "awscni_force_removed_enis",
    "awscni_force_removed_ips",
    "awscni_ip_max",
    "awscni_ipamd_action_inprogress",
    "awscni_ipamd_error_count",
    "awscni_no_available_ip_addresses",
    "awscni_reconcile_count",
    "awscni_total_ip_addresses",
    "awscni_total_ipv4_prefixes",
}


@pytest.fixture
def pod(node: LiveNode) -> Iterator[Sandbox]:
    sandbox = node.sandbox("web-0")
    assert node.call("ADD", sandbox).exit_code == 0
    yield sandbox
    node.call("DEL", sandbox)


def test_metrics_have_the_names_of_the_reference(node: LiveNode, pod: Sandbox) -> None:
    _status, text = node.get("/metrics")
    typed = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert typed >= REFERENCE_METRICS


def test_metrics_count_what_happens(node: LiveNode, pod: Sandbox) -> None:
    before = node.metrics()
    other = node.sandbox("web-1")
    node.call("ADD", other)
    during = node.metrics()
    node.call("DEL", other)
    after = node.metrics()
    assert during["awscni_add_ip_req_count"] - before["awscni_add_ip_req_count"] == 1
    assert during["awscni_assigned_ip_addresses"] - before["awscni_assigned_ip_addresses"] == 1
    assert after["awscni_assigned_ip_addresses"] == before["awscni_assigned_ip_addresses"]
    deleted = 'awscni_del_ip_req_count{reason="PodDeleted"}'
    assert after[deleted] - before[deleted] == 1
    added = 'vpc_cni_add_seconds_count{phase="total"}'
    assert after[added] - before[added] == 1


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_of_a_serving_agent(node: LiveNode, path: str) -> None:
    assert node.get(path) == (200, "ok\n")


def test_introspection_shows_pods_as_the_reference_does(node: LiveNode, pod: Sandbox) -> None:
    page: Any = node.page("/v1/enis")
    assert page["TotalIPs"] >= page["AssignedIPs"] == 1
    assert {eni["DeviceNumber"]: eni["IsPrimary"] for eni in page["ENIs"].values()}[0] is True
    assert all(eni_id == eni["ID"] for eni_id, eni in page["ENIs"].items())
    address = node.pod_addresses()[pod.container_id]
    cidrs = {name: cidr for eni in page["ENIs"].values() for name, cidr in eni["AvailableIPv4Cidrs"].items()}
    assert len(cidrs) == page["TotalIPs"]
    cidr = cidrs[f"{address}/32"]
    assert cidr["Cidr"] == {"IP": address, "Mask": "/////w=="}
    assert cidr["IsPrefix"] is False
    used = cidr["IPAddresses"][address]
    assert used["IPAMMetadata"] == {"k8sPodNamespace": "live", "k8sPodName": "web-0"}
    assert used["IPAMKey"]["networkName"] == "aws-cni"
    assert pod.container_id not in str(page), "whoever knows the id can release the address"
