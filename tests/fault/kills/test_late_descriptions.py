"""Kills while EC2 describes what was true two seconds ago: nothing is handed out that it has taken back."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_agent import add_bare_node
from fault_play import play
from fault_scenarios import Scenario, pool_gives_addresses_back, pool_grows
from fault_stage import Stage

from vpc_cni.agent.steps import Step
from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

LAG_SECONDS = 2.0
SCENARIOS: tuple[tuple[Scenario, Step], ...] = ()


@pytest.fixture
def late_lab() -> Iterator[Lab]:
    """A VPC whose EC2 and metadata lag, and whose ENIs take their time."""
    with Lab(
        name=f"late-{os.getpid()}",
        nodes=0,
        agents=False,
        instance_type="m5.xlarge",
        describe_lag_seconds=LAG_SECONDS,
        metadata_lag_seconds=LAG_SECONDS,
        attach_seconds=0.3,
        detach_seconds=0.3,
        link_delay_seconds=0.3,
    ) as lab:
        yield lab


def full_eni_is_not_taken_for_a_limit(stage: Stage, step: Step) -> None:
    """The successor sees an empty ENI that is full: it learns so within seconds, and pods wait no longer."""
    started = time.monotonic()
    stage.agent.start(crash_at=step, WARM_IP_TARGET="14")
    stage.await_death()
    stage.run(WARM_IP_TARGET="14")
    stage.add_together(10)
    assert time.monotonic() - started < 15
    stage.settle(timeout_seconds=20)


@pytest.mark.slow
def test_what_ec2_does_not_show_yet_harms_no_pod(late_lab: Lab) -> None:
    plays = (
        (pool_gives_addresses_back, Step.UNASSIGN_INTENT_WRITTEN),
        (pool_gives_addresses_back, Step.ADDRESSES_UNASSIGNED),
        (pool_gives_addresses_back, Step.UNASSIGN_OUTCOME_WRITTEN),
        (pool_grows, Step.CREATED),
        (pool_grows, Step.ATTACHED),
        (pool_grows, Step.ADDRESSES_ASSIGNED),
        (full_eni_is_not_taken_for_a_limit, Step.ADDRESSES_ASSIGNED),
        (full_eni_is_not_taken_for_a_limit, Step.ASSIGN_OUTCOME_WRITTEN),
    )
    with Netns.open(add_bare_node(late_lab).netns_path) as peer, ThreadPoolExecutor(len(plays)) as threads:
        pending = [threads.submit(play, late_lab, peer, scenario, step) for scenario, step in plays]
        outcomes = [each.result() for each in pending]
    failed = [outcome for outcome in outcomes if outcome.problem]
    assert not failed, "\n\n".join(f"{each.scenario} at {each.step}:\n{each.problem}" for each in failed)
