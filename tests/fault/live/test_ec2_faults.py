"""EC2 refuses, breaks, loses its answers or is slow: nothing doubles, nothing leaks, and only what needs it stops."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from live_cloud import connect, wait_in_line
from live_node import LiveNode, report, wait_until

from vpc_cni.lab.client import Lab

GROWTH_SECONDS = 15.0
# Each node uses the first two of its ENIs: the first holds 3 pods.
SMALL = {"instance_type": "t3.small", "env": {"IP_COOLDOWN_PERIOD": "0", "VPC_CNI_ADD_WAIT_SECONDS": "4"}}


@pytest.fixture(scope="module")
def lab(start_node: Callable[..., LiveNode]) -> Lab:
    return start_node(nodes=1, **SMALL).lab


@contextmanager
def new_node(lab: Lab) -> Iterator[LiveNode]:
    with LiveNode(lab, lab.add_node().name) as node:
        yield node
        assert node.lab.node(node.name).agent_restarts == 0
        assert node.bugs() == []


@pytest.fixture(autouse=True)
def mended(lab: Lab) -> Iterator[None]:
    yield
    lab.faults.clear()


def add_pods(node: LiveNode, count: int) -> list[str]:
    """Add pods one after the other and return their addresses."""
    outcomes = [node.call("ADD", node.sandbox(f"pod-{number}")) for number in range(count)]
    return [outcome.address for outcome in outcomes]


BREAKS: dict[str, Callable[[Lab, str], int]] = {
    "breaks": lambda lab, operation: lab.faults.error(operation, "InternalError", times=1),
    "loses its answer": lambda lab, operation: lab.faults.lost_answer(operation, times=1),
    "is throttled": lambda lab, operation: lab.faults.error(operation, "RequestLimitExceeded", times=1),
}
GROWTH_CALLS = (
    "AssignPrivateIpAddresses",
    "CreateNetworkInterface",
    "AttachNetworkInterface",
    "ModifyNetworkInterfaceAttribute",
)


@pytest.mark.parametrize("operation", GROWTH_CALLS)
@pytest.mark.parametrize("how", BREAKS)
def test_growth_survives_a_call_that(lab: Lab, operation: str, how: str) -> None:
    number = BREAKS[how](lab, operation)
    with new_node(lab) as node:
        addresses = add_pods(node, 4)
        assert len(set(addresses)) == 4
        wait_until(
            lambda: number not in [fault["number"] for fault in lab.faults.active()], 5, f"a failing {operation}"
        )
        ec2 = connect(lab)
        wait_until(lambda: node.pool()["total"] >= 6, GROWTH_SECONDS, "growth in spite of it")
        seconds = wait_in_line(node, ec2, GROWTH_SECONDS)
        assert len(node.status()["enis"]) <= 3
        assert sorted(node.pod_addresses().values()) == sorted(addresses)
        wait_until(lambda: outliving(ec2, node) == [], 5, "ENIs that end with their instance")
        report(f"EC2: {operation} {how}: in line {seconds:.1f} s later")


def outliving(ec2: Any, node: LiveNode) -> list[str]:
    """Return the ENIs that would be left when the instance ends."""
    filters = [{"Name": "attachment.instance-id", "Values": [node.info.instance_id]}]
    found = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    return [eni["NetworkInterfaceId"] for eni in found if not eni["Attachment"]["DeleteOnTermination"]]


@pytest.fixture(scope="module")
def shrinking_lab(start_lab: Callable[..., Lab]) -> Lab:
    """A lab without nodes; those that come keep one warm address."""
    settings = {"VPC_CNI_RECONCILE_SECONDS": "1", "IP_COOLDOWN_PERIOD": "0", "WARM_IP_TARGET": "1"}
    return start_lab(nodes=0, instance_type="t3.small", env=settings)


@pytest.mark.parametrize("how", BREAKS)
def test_shrinking_survives_an_unassign_that(shrinking_lab: Lab, how: str) -> None:
    BREAKS[how](shrinking_lab, "UnassignPrivateIpAddresses")
    with new_node(shrinking_lab) as node:
        pods = [node.sandbox(f"pod-{number}") for number in range(2)]
        for pod in pods:
            assert node.call("ADD", pod).exit_code == 0
        assert node.call("DEL", pods[0]).exit_code == 0
        wait_until(lambda: not shrinking_lab.faults.active(), 10, "an unassign")
        wait_until(lambda: node.pool()["free"] == node.pool()["total"] - 1, 10, "a pool without doubts")
        wait_in_line(node, connect(shrinking_lab))
        assert node.call("ADD", pods[0]).exit_code == 0


def test_a_role_that_may_do_nothing_still_serves_what_the_node_has(lab: Lab) -> None:
    with new_node(lab) as node:
        wait_until(lambda: node.pool()["free"] == 3, 5, "the addresses of the first ENI")
        pid = node.agent_pid
        lab.faults.deny("ec2:*")
        pods = [node.sandbox(f"pod-{number}") for number in range(3)]
        for pod in pods:
            assert node.call("ADD", pod).exit_code == 0
        wait_until(lambda: "CreateNetworkInterface" in errors(node), 5, "the refusal in the node's status")
        for pod in pods:
            assert node.call("DEL", pod).exit_code == 0
        lab.restart_agent(node.name)
        assert node.call("ADD", pods[0]).exit_code == 0, "a restart without EC2 takes what metadata says"
        assert node.call("DEL", pods[0]).exit_code == 0
        assert node.agent_pid != pid


@pytest.mark.parametrize("operation", GROWTH_CALLS[1:])
def test_a_denied_action_switches_off_one_thing_and_is_named(lab: Lab, operation: str) -> None:
    lab.faults.deny(f"ec2:{operation}")
    with new_node(lab) as node:
        add_pods(node, 3)
        if operation == "ModifyNetworkInterfaceAttribute":
            add_pods(node, 1)  # growth needs no leave for what comes after
        else:
            refused = node.call("ADD", node.sandbox("one-more"), node.config())
            assert (refused.exit_code, refused.answer["code"]) == (1, 11)
            assert "Denied" in refused.answer["msg"]
            wait_until(lambda: operation in errors(node), 5, f"{operation} in the node's status")
            assert f"ec2:{operation}" in errors(node)[operation]
        wait_in_line(node, connect(lab))


def errors(node: LiveNode) -> dict[str, str]:
    """Return the hints of the last errors by operation."""
    return {error["operation"]: error["hint"] for error in node.status()["errors"]}
