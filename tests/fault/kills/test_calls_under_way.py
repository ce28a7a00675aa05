"""Kills while EC2 has the request and has not acted on it: the effect comes when the successor has already looked."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_agent import add_bare_node, wait_until
from fault_play import assert_mended, play
from fault_stage import Stage

from vpc_cni.agent.steps import Step
from vpc_cni.ipam.records import Ec2Operation
from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

SLOW_SECONDS = 1.0
GROWING, SHRINKING = {"WARM_IP_TARGET": "20"}, {"WARM_IP_TARGET": "2"}
OPERATIONS = (
    Ec2Operation.CREATE,
    Ec2Operation.ATTACH,
    Ec2Operation.ASSIGN,
    Ec2Operation.UNASSIGN,
    Ec2Operation.DELETE,
)


@pytest.fixture
def slow_lab() -> Iterator[Lab]:
    """A VPC that has each change in hand for a second."""
    changes = ("Create*", "Attach*", "Assign*", "Unassign*", "Delete*")
    with Lab(
        name=f"calls-{os.getpid()}",
        nodes=0,
        agents=False,
        instance_type="m5.xlarge",
        latency_seconds=dict.fromkeys(changes, SLOW_SECONDS),
    ) as lab:
        yield lab


@pytest.mark.slow(seconds=9)
def test_a_request_that_outlives_its_agent_is_taken_into_account(slow_lab: Lab) -> None:
    """A new ENI is wanted, addresses go back, or an ENI that was never attached is deleted: whatever gets there."""

    def kill_during(operation: Ec2Operation, stage: Stage) -> None:
        settings = GROWING
        if operation in (Ec2Operation.UNASSIGN, Ec2Operation.DELETE):
            settings = SHRINKING
            stage.agent.start(
                crash_at=Step.CREATED if operation is Ec2Operation.DELETE else Step.LINK_SET_UP, **GROWING
            )
            stage.await_death()
        stage.agent.start(**settings)
        wait_until(lambda: _is_open(stage, operation), 15, f"{operation} under way")
        time.sleep(0.05)
        stage.agent.kill()
        stage.run(**settings)
        stage.add_together(4)
        stage.settle(timeout_seconds=20)

    with Netns.open(add_bare_node(slow_lab).netns_path) as peer, ThreadPoolExecutor(len(OPERATIONS)) as threads:
        pending = [
            threads.submit(play, slow_lab, peer, lambda stage, _step, each=each: kill_during(each, stage), each)
            for each in OPERATIONS
        ]
        assert_mended([each.result() for each in pending])


def _is_open(stage: Stage, operation: Ec2Operation) -> bool:
    try:
        return any(step.operation is operation for step in stage.agent.journal().ec2_steps.values())
    except FileNotFoundError:
        return False
