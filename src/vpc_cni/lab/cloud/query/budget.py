"""Request budgets: the token buckets that EC2 throttles by."""

from dataclasses import dataclass

from vpc_cni.lab.cloud.settings import Bucket


@dataclass(slots=True)
class Budget:
    """What is left of one bucket. Its size comes with each call, since settings and faults change it."""

    _level: float | None = None
    _at: float = 0.0

    def take(self, bucket: Bucket | None, now: float) -> bool:
        """Take one token; False when there is none. No bucket always gives, and starts the next one full."""
        if bucket is None:
            self._level = None
            return True
        level = bucket.capacity if self._level is None else self._level
        level = min(bucket.capacity, level + max(0.0, now - self._at) * bucket.refill_per_second)
        self._at = now
        self._level = level - 1 if level >= 1 else level
        return level >= 1
