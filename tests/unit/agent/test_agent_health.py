"""Probes: a silent loop is dead, reasons make it unready."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from vpc_cni.agent.health import HUNG_SECONDS, STUCK_SECONDS, Health, ThreadWatch


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def test_an_agent_that_starts_is_alive_and_not_ready(health: Health) -> None:
    assert health.livez().status == 200
    assert health.readyz().status == 503
    assert b"starting" in health.readyz().body


def test_an_agent_without_reasons_is_ready(health: Health) -> None:
    health.phase = ""
    assert health.readyz().status == 200


def test_every_reason_is_shown(health: Health) -> None:
    health.phase = "instance metadata: timed out"
    health.checks += [lambda: "", lambda: "no ENI"]
    assert health.readyz().body.split() == b"not ready: instance metadata: timed out; no ENI".split()


def test_a_silent_loop_is_neither_alive_nor_ready(health: Health, clock: Clock) -> None:
    health.phase = ""
    clock.now += HUNG_SECONDS
    assert health.livez().status == 200
    clock.now += 0.1
    assert health.livez().status == 503
    assert health.readyz().status == 503
    assert b"silent for 10 s" in health.livez().body


def test_a_beat_keeps_the_loop_alive(health: Health, clock: Clock) -> None:
    for _ in range(5):
        clock.now += HUNG_SECONDS - 1
        health.beat()
        assert health.livez().status == 200


@dataclass
class Thread:
    """What a thread says of itself; ``probe`` asks a watch of it."""

    clock: Clock
    is_there: bool = True
    work: int = 0
    probe: Callable[[], str] = field(init=False)

    def __post_init__(self) -> None:
        self.probe = ThreadWatch("worker", lambda: (self.is_there, self.work), self.clock).problem

    def probe_for(self, seconds: int) -> str:
        """Probe every 10 s, as kubelet does, and return the last answer."""
        for _ in range(0, seconds, 10):
            self.clock.now += 10
            answer = self.probe()
        return answer


@pytest.fixture
def thread(clock: Clock) -> Thread:
    return Thread(clock)


def test_a_thread_that_ended_needs_a_new_process(health: Health, thread: Thread) -> None:
    health.phase = ""
    health.vital.append(thread.probe)
    assert health.livez().status == 200
    thread.is_there = False
    assert health.livez().status == health.readyz().status == 503
    assert b"the worker has ended" in health.livez().body


def test_a_thread_may_wait_for_work_for_ever(thread: Thread) -> None:
    assert thread.probe_for(3600) == ""


def test_a_thread_that_is_stuck_with_one_piece_of_work_is_reported(thread: Thread) -> None:
    thread.work = 7
    assert thread.probe() == ""
    assert thread.probe_for(int(STUCK_SECONDS)) == ""
    assert thread.probe_for(10) == "the worker has been stuck for 70 s"
    thread.work = 8
    assert thread.probe() == ""


def test_a_thread_that_gets_on_is_well(thread: Thread) -> None:
    for thread.work in range(1, 100):
        assert thread.probe_for(50) == ""
