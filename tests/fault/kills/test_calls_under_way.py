"""Kills while EC2 has the request and has not acted on it: the effect comes when the successor has already looked."""

import time

import pytest
from fault_agent import NewAgent, wait_until
from fault_runtime import Sandbox
from fault_stage import Stage

from vpc_cni.ipam.records import Ec2Operation
from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

SLOW_SECONDS = 1.0
CALLS = {
    Ec2Operation.CREATE: "CreateNetworkInterface",
    Ec2Operation.ATTACH: "AttachNetworkInterface",
    Ec2Operation.ASSIGN: "AssignPrivateIpAddresses",
    Ec2Operation.UNASSIGN: "UnassignPrivateIpAddresses",
    Ec2Operation.DELETE: "DeleteNetworkInterface",
}


@pytest.mark.parametrize("operation", CALLS, ids=str)
def test_a_request_that_outlives_its_agent_is_taken_into_account(
    lab: Lab, peer: Netns, new_agent: NewAgent, operation: Ec2Operation
) -> None:
    """A new ENI is wanted, addresses go back, or an ENI that was never attached is deleted: whatever gets there."""
    stage = Stage.set_up(lab, new_agent({"IP_COOLDOWN_PERIOD": "1", "WARM_IP_TARGET": "20"}), peer)
    settings = {}
    if operation in (Ec2Operation.UNASSIGN, Ec2Operation.DELETE):
        stage.agent.start(crash_at="eni-created" if operation is Ec2Operation.DELETE else "eni-link-set-up")
        stage.await_death()
        settings = {"WARM_IP_TARGET": "2"}
    lab.faults.latency(CALLS[operation], SLOW_SECONDS)
    stage.agent.start(**settings)
    wait_until(lambda: _is_open(stage, operation), 15, f"{operation} under way")
    time.sleep(0.05)
    stage.agent.kill()
    stage.run(**settings)
    for number in range(4):
        stage.add(Sandbox.create(f"web-{number}"))
    stage.settle(timeout_seconds=20)


def _is_open(stage: Stage, operation: Ec2Operation) -> bool:
    try:
        return any(step.operation is operation for step in stage.agent.journal().ec2_steps.values())
    except FileNotFoundError:
        return False
