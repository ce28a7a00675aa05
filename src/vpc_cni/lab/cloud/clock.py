"""Time as the lab's cloud reads it: wall-clock seconds, since answers, signatures and expiries are dated by it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

# Returns unix seconds. Everything in this package takes one; nothing else reads the time.
Clock = Callable[[], float]


def system_clock() -> float:
    """Return the machine's wall-clock time in unix seconds."""
    return time.time()


@dataclass(slots=True)
class ManualClock:
    """A clock that stands still until told otherwise; for tests and for replays."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def iso8601(moment: float) -> str:
    """Format unix seconds as EC2 and instance metadata do: ``2023-11-14T22:13:20.000Z``. Pure."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def iso8601_seconds(moment: float) -> str:
    """Format unix seconds without a fraction, as credentials documents do: ``2023-11-14T22:13:20Z``. Pure."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
