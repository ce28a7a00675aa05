"""Probes: a silent loop is dead, reasons make it unready."""

from dataclasses import dataclass

import pytest

from vpc_cni.agent.health import HUNG_SECONDS, Health


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
