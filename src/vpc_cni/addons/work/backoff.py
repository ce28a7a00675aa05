"""When to try again. Pure but for the dice, which are given."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from ``first`` to ``longest`` seconds, each cut by up to a half at random.

    The cut keeps clusters that failed together from being tried together for ever.
    """

    first: float
    longest: float

    def seconds(self, attempts: int, chance: random.Random) -> float:
        """Return how long to wait after so many failures in a row, from 0 on."""
        whole = min(self.longest, self.first * 2.0 ** min(attempts, 32))
        return whole * chance.uniform(0.5, 1.0)
