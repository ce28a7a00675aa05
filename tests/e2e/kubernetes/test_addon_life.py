"""The whole life of an installation on bare nodes: start, 40 pods, every packet, end, and nothing left anywhere."""

import os
import time
from collections.abc import Mapping

import pytest
from cluster_ec2 import connect, end_nodes, list_enis
from cluster_node import pod_routes
from cluster_objects import agent_pods, end_pods, running, start_pods, wait_until
from figures_file import Figures
from lab_traces import Traces, links, parameters

from vpc_cni.lab import Lab

PODS = 40
ROWS = 92
READY_SECONDS = 90.0
NODES = ("node-1", "node-2")
# An ENI stays for a minute at least, and leaves half a minute after another one.
POOL_SECONDS = 150.0
# With one warm address a node everything that pods had goes back to EC2, by and by.
TARGETS: Mapping[str, Mapping[str, str]] = {"nft": {}, "legacy": {"WARM_IP_TARGET": "1"}}


@pytest.mark.timeout(420)
@pytest.mark.parametrize("backend", [pytest.param("nft", marks=pytest.mark.alone), "legacy"])
def test_forty_pods_on_two_bare_nodes_reach_everything_and_leave_nothing(
    image_archive: str, figures: Figures, backend: str
) -> None:
    name = f"k8s-{backend}-{os.getpid() % 10000}"
    before = (parameters(), links())
    env = {"IP_COOLDOWN_PERIOD": "5", **TARGETS[backend]}
    lab = Lab(
        name=name, instance_type="m5.large", env=env, kubernetes=True, proxy_backend=backend, install=image_archive
    )
    suffix = "" if backend == "nft" else f"_{backend}"
    started = time.monotonic()
    with lab:
        figures[f"lab_ready_seconds{suffix}"] = time.monotonic() - started
        assert time.monotonic() - started < READY_SECONDS
        require_daemonset_alone(lab)
        require_backend(lab, backend)
        figures[f"pods_{PODS}_running_seconds{suffix}"] = start_pods(lab, "many", PODS)
        require_addresses_of_the_vpc(lab)
        figures[f"pods_{PODS}_deleted_seconds{suffix}"] = end_pods(lab, "many")
        report = lab.check()
        figures[f"check_rows_passed{suffix}"] = sum(row["passed"] for row in report.rows)
        assert report.failures() == []
        assert len(report.rows) == ROWS
        wait_until(lambda: not any(pod_routes(lab, node) for node in NODES), "the end of the pods' routes")
        traces = Traces.of(name)
        assert len(traces.namespaces) >= 3, "control plane and nodes"
        if backend == "legacy":
            figures["pool_empty_seconds"] = wait_until(
                lambda: holds_warm_address_only(lab), "empty pools", POOL_SECONDS
            )
        else:
            require_nothing_after_termination(lab)
        ending = time.monotonic()
    figures[f"lab_down_seconds{suffix}"] = time.monotonic() - ending
    traces.assert_gone()
    assert (parameters(), links()) == before


def require_daemonset_alone(lab: Lab) -> None:
    """The nodes are Ready by the DaemonSet, and the lab runs no agents."""
    assert [node["ready"] for node in lab.kubernetes.status["nodes"]] == [True, True]
    assert all(node.agent_pid is None for node in lab.nodes)
    assert set(agent_pods(lab)) == set(NODES)


def require_backend(lab: Lab, backend: str) -> None:
    """Services are rules of the chosen iptables."""
    assert "KUBE-SVC" in lab.kubernetes.run("node-1", ["iptables-save", "-t", "nat"]).stdout
    assert ("legacy" in lab.kubernetes.run("node-1", ["iptables", "-V"]).stdout) == (backend == "legacy")


def require_addresses_of_the_vpc(lab: Lab) -> None:
    """Each pod has an address of its own, and EC2 has assigned it to its node."""
    pods = running(lab, "app=many")
    assert len({pod["status"]["podIP"] for pod in pods}) == PODS
    for node in lab.nodes:
        here = {pod["status"]["podIP"] for pod in pods if pod["spec"]["nodeName"] == node.name}
        assert here
        assert here <= {address for eni in node.enis for address in eni.addresses}


def holds_warm_address_only(lab: Lab) -> bool:
    """Tell whether EC2 shows nothing of the pods: each node has its primary ENI, and the one address of its target."""
    return [[len(eni.addresses) for eni in node.enis] for node in lab.nodes] == [[1], [1]]


def require_nothing_after_termination(lab: Lab) -> None:
    """End the nodes as a cloud does: every ENI and address that the agents have taken goes with them."""
    ec2 = connect(lab)
    nodes = {node.instance_id for node in lab.nodes}
    end_nodes(lab, *NODES)
    wait_until(lambda: len(list_enis(ec2)) == 1, "the end of all ENIs but the control plane's", 20)
    (left,) = list_enis(ec2)
    assert left["Attachment"]["InstanceId"] not in nodes
    assert len(left["PrivateIpAddresses"]) == 1
