"""Kills while EC2 describes what was true two seconds ago: nothing is handed out that it has taken back."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_agent import add_bare_node
from fault_play import assert_mended, play
from fault_scenarios import pool_gives_addresses_back, pool_grows
from fault_stage import Stage

from vpc_cni.agent.steps import Step
from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

LAG_SECONDS = 2.0
# Start, lag, a refusal or two with pauses of a second, and the look that follows.
LEARNT_SECONDS = 15.0


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
    _learns_soon(stage, step, {"WARM_IP_TARGET": "14"})


def full_node_is_not_taken_for_a_limit(stage: Stage, step: Step) -> None:
    """The successor sees one ENI where there are four; as above, though comparisons come a minute apart."""
    _learns_soon(stage, f"{step}:3", {"WARM_IP_TARGET": "56", "VPC_CNI_RECONCILE_SECONDS": "60"})


def _learns_soon(stage: Stage, crash_at: str, settings: dict[str, str]) -> None:
    started = time.monotonic()
    stage.agent.start(crash_at=crash_at, **settings)
    stage.await_death()
    stage.run(**settings)
    stage.add_together(30)
    assert time.monotonic() - started < LEARNT_SECONDS
    stage.rerun(**{**settings, "VPC_CNI_RECONCILE_SECONDS": "1"})
    stage.settle(timeout_seconds=20)


@pytest.mark.slow(seconds=9)
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
        (full_node_is_not_taken_for_a_limit, Step.ATTACH_OUTCOME_WRITTEN),
    )
    with Netns.open(add_bare_node(late_lab).netns_path) as peer, ThreadPoolExecutor(len(plays)) as threads:
        pending = [threads.submit(play, late_lab, peer, scenario, step) for scenario, step in plays]
        assert_mended([each.result() for each in pending])
