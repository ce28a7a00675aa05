"""Plays scenarios, several beside each other: most of each is waiting."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from fault_agent import QUICK_RECONCILE, NodeAgent, add_bare_node
from fault_scenarios import SCENARIOS, SLOW, Scenario, detach_is_never_answered, detach_is_under_way
from fault_stage import Stage

from vpc_cni.agent.steps import Step
from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

T = TypeVar("T")
SETTINGS = {**QUICK_RECONCILE, "WARM_IP_TARGET": "3", "IP_COOLDOWN_PERIOD": "1"}


@dataclass(frozen=True)
class Outcome:
    """How one scenario ended; ``problem`` is empty when all was well."""

    scenario: str
    step: str
    seconds: float
    problem: str

    def __str__(self) -> str:
        return f"{self.step:28} {self.scenario:30} {self.seconds:5.1f} s  {'FAILED' if self.problem else 'mended'}"


def play(lab: Lab, peer: Netns, scenario: Callable[[Stage, T], None], step: T) -> Outcome:
    """Run a scenario on a new node; the agent has ended afterwards. Raises nothing.

    Args:
        step: where the kill comes: a step of the agent, or what the scenario makes of it.
    """
    started = time.monotonic()
    agent = NodeAgent(lab, add_bare_node(lab), SETTINGS)
    problem = _problem_of(lambda: scenario(Stage.set_up(lab, agent, peer), step))
    if agent.is_running:
        agent.kill()
    return Outcome(scenario.__name__, str(step), time.monotonic() - started, problem)


def assert_mended(outcomes: Iterable[Outcome]) -> None:
    """Raise AssertionError with what went wrong in each scenario that failed."""
    failed = [outcome for outcome in outcomes if outcome.problem]
    assert not failed, "\n\n".join(f"{each.scenario} at {each.step}:\n{each.problem}" for each in failed)


@contextmanager
def slow_scenarios() -> Iterator[Mapping[tuple[Scenario, Step], "Future[Outcome]"]]:
    """Play those that wait a minute, in labs of their own, while other tests run."""
    with (
        Lab(name=f"slow-{os.getpid()}", nodes=0, agents=False, instance_type="m5.xlarge") as one,
        Lab(name=f"lost-{os.getpid()}", nodes=0, agents=False, instance_type="m5.xlarge") as other,
        Netns.open(add_bare_node(one).netns_path) as peer,
        Netns.open(add_bare_node(other).netns_path) as other_peer,
        ThreadPoolExecutor(len(Step)) as threads,
    ):
        one.faults.latency("DetachNetworkInterface", 1.0)
        pending = {
            (scenario, step): threads.submit(play, one, peer, scenario, step)
            for scenario in SLOW
            for step in SCENARIOS[scenario]
        }
        first = Step.DETACH_INTENT_WRITTEN
        pending[detach_is_under_way, first] = threads.submit(play, one, peer, detach_is_under_way, first)
        pending[detach_is_never_answered, first] = threads.submit(
            play, other, other_peer, detach_is_never_answered, first
        )
        yield pending


def _problem_of(work: Callable[[], None]) -> str:
    try:
        work()
    except Exception as err:
        return f"{type(err).__name__}: {err}"
    return ""
