"""One run that kills the agent at every named step of journal, kernel and EC2."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from fault_agent import Tell
from fault_play import Outcome, assert_mended, play
from fault_scenarios import OF_TAKEOVER, SCENARIOS, SLOW, Scenario

from vpc_cni.agent.steps import Step
from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

# Most of a scenario is waiting; starts of agents are what the processors do.
AT_ONCE = 5


def test_every_step_has_a_scenario() -> None:
    assert {step for steps in SCENARIOS.values() for step in steps} == set(Step) - OF_TAKEOVER


@pytest.mark.slow(seconds=75)
@pytest.mark.timeout(300)
def test_a_kill_at_any_step_is_mended_by_the_next_start(
    lab: Lab, peer: Netns, slow_outcomes: Mapping[tuple[Scenario, Step], "Future[Outcome]"], tell: Tell
) -> None:
    """Each scenario asserts that the agent has killed itself at the step, so that every step was reached."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        quick = [
            threads.submit(play, lab, peer, scenario, step)
            for scenario, steps in SCENARIOS.items()
            if scenario not in SLOW
            for step in steps
        ]
        outcomes = [each.result() for each in (*quick, *slow_outcomes.values())]
    for outcome in outcomes:
        tell(str(outcome))
    assert {outcome.step for outcome in outcomes} == set(Step) - OF_TAKEOVER
    assert_mended(outcomes)
