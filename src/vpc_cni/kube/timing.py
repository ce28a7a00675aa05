"""Clock, chance and waiting, handed in by the owner; and how long to wait after a failure."""

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
        now: CLOCK_BOOTTIME seconds.
        chance: uniform in [0, 1); jitter.
        stopping: once set, every wait ends at once and nothing is tried again.
    """

    now: Callable[[], float] = _boottime
    chance: Callable[[], float] = random.random
    stopping: threading.Event = field(default_factory=threading.Event)

    def pause(self, seconds: float) -> bool:
        """Sleep; return False when the owner is stopping and the sleeper should give up."""
        return not self.stopping.wait(max(0.0, seconds))


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: a delay is uniform between zero and a ceiling that doubles with each failure in a row.

    A thousand agents that lost the same API server come back spread over the ceiling, not together.
    Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
    """

    base_seconds: float = 0.5
    ceiling_seconds: float = 30.0

    def delay(self, failures: int, *, chance: float, retry_after_seconds: float = 0.0) -> float:
        """Return the seconds to wait after this number of failures in a row (from 1). Pure.

        Args:
            retry_after_seconds: what the server asked for; jitter comes on top of it, never below.
        """
        ceiling = min(self.ceiling_seconds, self.base_seconds * 2.0 ** min(failures - 1, 30))
        return retry_after_seconds + chance * ceiling
