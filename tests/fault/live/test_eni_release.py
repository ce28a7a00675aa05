"""ENIs that go back while EC2 loses answers, breaks or takes long: none leaks, and no pod waits for it.

An ENI lives for a minute at least, so the fixture ``aging`` makes these nodes before the other tests of this folder.
"""

import time
from typing import Any

import pytest
from live_cloud import connect, wait_in_line
from live_node import LiveNode, report, wait_until

from vpc_cni.lab.client import Lab

ENI_LIFE_SECONDS = 60.0
SHRINK_INTERVAL_SECONDS = 30.0
DETACH_SECONDS = 4.0


@pytest.mark.slow(seconds=100)
@pytest.mark.timeout(300)
def test_enis_go_back_without_a_trace_and_delay_no_pod(aging: Lab) -> None:
    ec2 = connect(aging)
    nodes = [LiveNode(aging, node.name) for node in aging.nodes]
    wait_until(
        lambda: min(age_of_agent(node) for node in nodes) > ENI_LIFE_SECONDS, ENI_LIFE_SECONDS + 15, "old enough ENIs"
    )
    aging.faults.lost_answer("DetachNetworkInterface")
    aging.faults.lost_answer("DeleteNetworkInterface")
    aging.faults.error("DeleteNetworkInterface", "InternalError", times=1)
    aging.delete_pod(*(pod.name for pod in aging.pods))
    leaving = next_leaving(ec2, nodes)

    started = time.monotonic()
    adding = [leaving.start("ADD", leaving.sandbox(f"late-{number}")) for number in range(4)]
    addresses = [plugin.outcome().address for plugin in adding]
    seconds = time.monotonic() - started
    report(f"release: 4 ADDs, one of them with a new ENI, beside an ENI that takes {DETACH_SECONDS} s: {seconds:.2f} s")
    assert len(set(addresses)) == 4
    assert seconds < DETACH_SECONDS / 2

    # A plan that came between the DELs gave single addresses back; then the ENI follows half a minute later.
    wait_until(
        lambda: sum(len(node.status()["enis"]) for node in nodes) == 4, SHRINK_INTERVAL_SECONDS + 10, "three exits"
    )
    for node in nodes:
        wait_until(lambda: not is_detaching(ec2, node), DETACH_SECONDS + 5, "the end of the detaching")  # noqa: B023
        wait_in_line(node, ec2, 20)
        assert len(node.status()["enis"]) == (2 if node is leaving else 1)
        assert node.bugs() == []
    assert aging.faults.active() == [], "each fault has struck"
    assert sorted(leaving.pod_addresses().values()) == sorted(addresses)


def age_of_agent(node: LiveNode) -> float:
    return float(node.status()["node"]["uptime_seconds"]) - 10  # the second ENI came some seconds after the start


def next_leaving(ec2: Any, nodes: list[LiveNode]) -> LiveNode:
    """Wait until one of the nodes detaches an ENI."""
    leaving: list[LiveNode] = []

    def found() -> bool:
        leaving.extend(node for node in nodes if is_detaching(ec2, node))
        return bool(leaving)

    wait_until(found, SHRINK_INTERVAL_SECONDS + 10, "an ENI on its way out")
    return leaving[0]


def is_detaching(ec2: Any, node: LiveNode) -> bool:
    filters = [{"Name": "attachment.instance-id", "Values": [node.info.instance_id]}]
    found = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    return any(eni["Attachment"]["Status"] == "detaching" for eni in found)
