"""A clock that only moves when someone waits, for budgets, retries and credentials."""

import threading

import pytest

from vpc_cni.ec2.timing import Timing


class FakeClock(threading.Event):
    """Time and the stop signal in one: waiting moves the clock and returns at once."""

    def __init__(self, start: float = 1000.0) -> None:
        super().__init__()
        self.at = start
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        if not self.is_set():
            self.at += timeout or 0.0
        return self.is_set()

    def timing(self, chance: float = 0.5) -> Timing:
        return Timing(now=lambda: self.at, wall_now=lambda: self.at, chance=lambda: chance, stopping=self)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
