"""The API server is away for two minutes: pods do not notice, others start and end, agents go on."""

import os
import time
from typing import Any

import pytest
from cluster_node import agent_pid, kill_sandbox, pod_routes
from cluster_objects import (
    agent_containers,
    agent_log,
    end_pods,
    kubectl,
    node_is_ready,
    restarts,
    running,
    start_pods,
    wait_until,
)
from cluster_traffic import traffic
from figures_file import Figures

from vpc_cni.lab import Lab

AWAY_SECONDS = float(os.environ.get("VPC_CNI_API_AWAY_SECONDS", "120"))
# Between two pods that get a new sandbox; kubelet needs a few seconds to see that one has ended.
EVERY_SECONDS = 8.0
NODES = ("node-1", "node-2")


@pytest.mark.slow(seconds=180)
@pytest.mark.timeout(AWAY_SECONDS + 180)
def test_pods_live_start_and_end_while_the_api_server_is_away(
    addon_lab: Lab, pair: tuple[dict[str, Any], dict[str, Any]], figures: Figures
) -> None:
    for node in NODES:
        start_pods(addon_lab, f"again-{node}", 1, node)
    processes = {node: agent_pid(addon_lab, node) for node in NODES}
    containers = agent_containers(addon_lab)
    started, replaced = time.monotonic(), []
    with traffic(addon_lab, *pair) as (pings, stream):
        pods = {node: running(addon_lab, f"app=again-{node}")[0] for node in NODES}
        addresses = {node: pod["status"]["podIP"] for node, pod in pods.items()}
        addon_lab.kubernetes.stop("kube-apiserver")
        away = time.monotonic()
        try:
            while time.monotonic() - away < AWAY_SECONDS - EVERY_SECONDS:
                node = NODES[len(replaced) % len(NODES)]
                began = time.monotonic()
                seconds, addresses[node] = replace_pod(addon_lab, node, pods[node]["metadata"]["name"], addresses[node])
                replaced.append(seconds)
                time.sleep(max(EVERY_SECONDS - (time.monotonic() - began), 0.0))
            time.sleep(max(AWAY_SECONDS - (time.monotonic() - away), 0.0))
        finally:
            addon_lab.kubernetes.start("kube-apiserver")
        figures["api_away_seconds"] = time.monotonic() - away
        require_resumed(addon_lab, addresses)
    figures["api_away_replaced_pods"] = len(replaced)
    figures["api_away_replaced_pod_longest_seconds"] = max(replaced)
    figures["api_away_pings_sent"] = pings.sent
    figures["api_away_pings_lost"] = pings.lost
    figures["api_away_test_seconds"] = time.monotonic() - started
    assert pings.received == pings.sent > 0
    assert stream.received == stream.sent > 0
    # The agents are those from before.
    assert {node: agent_pid(addon_lab, node) for node in NODES} == processes
    assert agent_containers(addon_lab) == containers
    assert {count for _, count in containers.values()} == {0}
    assert restarts(addon_lab, "app in (calm-node-1, calm-node-2)") == 0
    for node in NODES:
        end_pods(addon_lab, f"again-{node}")


def replace_pod(lab: Lab, node: str, name: str, address: str) -> tuple[float, str]:
    """Let kubelet run DEL and ADD for a pod; return the seconds from the one to the other, and the new address."""
    others = pod_routes(lab, node) - {address}
    kill_sandbox(lab, node, name)
    wait_until(lambda: address not in pod_routes(lab, node), "DEL without an API server")
    seconds = wait_until(lambda: len(pod_routes(lab, node) - others) == 1, "ADD without an API server")
    (new,) = pod_routes(lab, node) - others
    return seconds, new


def require_resumed(lab: Lab, addresses: dict[str, str]) -> None:
    """Kubelets tell the new addresses, and agents see what happens to their nodes, without a restart."""
    for node in NODES:
        wait_until(lambda node=node: node_is_ready(lab, node), f"Ready of {node}")
        wait_until(
            lambda node=node: (
                [pod["status"].get("podIP") for pod in running(lab, f"app=again-{node}")] == [addresses[node]]
            ),
            f"the new address of the pod on {node}",
        )
        kubectl(lab, "cordon", node)
        wait_until(lambda node=node: "the node is cordoned" in agent_log(lab, node), f"{node}'s agent's look at it")
        kubectl(lab, "uncordon", node)
