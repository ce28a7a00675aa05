"""Clocks, chance and waiting of the clients, handed in by their owner."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Timing:
    """Everything that makes a run differ from another: tests pass their own.

    Attributes:
        now: CLOCK_BOOTTIME seconds; deadlines and budgets.
        wall_now: unix seconds; signatures and the expiry of credentials, which the service states in wall time.
        chance: uniform in [0, 1); jitter.
        stopping: once set, every wait ends at once and no call is retried.
    """

    now: Callable[[], float] = _boottime
    wall_now: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    stopping: threading.Event = field(default_factory=threading.Event)

    def pause(self, seconds: float) -> bool:
        """Sleep; return False when the owner is stopping and the sleeper should give up."""
        return not self.stopping.wait(max(0.0, seconds))
