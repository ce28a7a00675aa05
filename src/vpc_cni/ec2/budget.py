"""The node's share of the account's EC2 request rate, learnt from RequestLimitExceeded.

EC2 counts requests for each account and region: by default a bucket of 50 mutating calls that refills with 5 a
second, and 100 with 20 a second for reads, for all nodes together. A node cannot see the others, so it does what a
TCP sender does: it raises its rate slowly while nothing is refused (additive increase) and halves it when EC2 says
no (multiplicative decrease). Mutating and reading calls have a bucket each: a scan never starves growth.

``Bucket`` and its functions are the pure core; ``Budget`` is the shell that threads wait in. A waiter books its
token at once and then sleeps until it is due, so threads are served in the order in which they asked.
"""

import threading
from dataclasses import dataclass, replace
from enum import Enum

from vpc_cni.ec2.failures import OWN_BUDGET, STOPPING
from vpc_cni.ec2.timing import Timing
from vpc_cni.errors import CloudError, ThrottledError


class CallKind(Enum):
    MUTATING = "mutating"
    READING = "reading"


@dataclass(frozen=True, slots=True)
class BucketLimits:
    """Shape of a bucket; rates are calls a second.

    ``recovery`` is what each second without a refusal adds to the rate. After a cut no other follows for
    ``episode_seconds``: several calls in flight that are refused together are one signal.
    """

    burst: float
    ceiling_rate: float
    floor_rate: float
    recovery: float
    cut: float = 0.5
    episode_seconds: float = 1.0


# Ceilings are the account's own default buckets. Source: EC2 developer guide, "Request throttling".
DEFAULT_LIMITS = {
    CallKind.MUTATING: BucketLimits(burst=50, ceiling_rate=5.0, floor_rate=0.1, recovery=0.05),
    CallKind.READING: BucketLimits(burst=100, ceiling_rate=20.0, floor_rate=0.2, recovery=0.2),
}


@dataclass(frozen=True, slots=True)
class Bucket:
    """Tokens and rate at the moment ``as_of`` (CLOCK_BOOTTIME seconds). Negative tokens are booked ones."""

    limits: BucketLimits
    tokens: float
    rate: float
    as_of: float
    cut_at: float = float("-inf")


def full_bucket(limits: BucketLimits, now: float) -> Bucket:
    """Return the bucket of a client that was never refused. Pure."""
    return Bucket(limits, tokens=limits.burst, rate=limits.ceiling_rate, as_of=now)


def refill(bucket: Bucket, now: float) -> Bucket:
    """Let time pass: tokens by the rate as it was, then the rate itself. Pure; a clock that steps back is ignored."""
    elapsed = max(0.0, now - bucket.as_of)
    limits = bucket.limits
    return replace(
        bucket,
        tokens=min(limits.burst, bucket.tokens + elapsed * bucket.rate),
        rate=min(limits.ceiling_rate, bucket.rate + elapsed * limits.recovery),
        as_of=max(now, bucket.as_of),
    )


def wait_seconds(bucket: Bucket, now: float) -> float:
    """Return how long a caller that books now will have to wait; 0 when a token is there. Pure."""
    filled = refill(bucket, now)
    return max(0.0, (1.0 - filled.tokens) / filled.rate)


def book(bucket: Bucket, now: float) -> Bucket:
    """Take one token, on credit when there is none. Pure."""
    filled = refill(bucket, now)
    return replace(filled, tokens=filled.tokens - 1.0)


def slow_down(bucket: Bucket, now: float) -> Bucket:
    """Answer a refusal: cut the rate, once an episode, and forget the saved tokens. Pure."""
    filled = refill(bucket, now)
    drained = replace(filled, tokens=min(0.0, filled.tokens))
    if now - bucket.cut_at < bucket.limits.episode_seconds:
        return drained
    return replace(drained, rate=max(bucket.limits.floor_rate, filled.rate * bucket.limits.cut), cut_at=now)


class Budget:
    """Token buckets that several threads wait in. Thread safe."""

    def __init__(self, timing: Timing, limits: dict[CallKind, BucketLimits] | None = None) -> None:
        self._timing = timing
        self._lock = threading.Lock()
        now = timing.now()
        self._buckets = {kind: full_bucket(shape, now) for kind, shape in (limits or DEFAULT_LIMITS).items()}

    def acquire(self, kind: CallKind, operation: str, deadline: float) -> float:
        """Wait for the right to send one request; return the seconds waited.

        Raises:
            ThrottledError: with code OWN_BUDGET, at once, when no token comes before ``deadline``; nothing is booked.
            CloudError: with code STOPPING when the agent goes down.
        """
        with self._lock:
            now = self._timing.now()
            wait = wait_seconds(self._buckets[kind], now)
            if now + wait > deadline:
                raise _exhausted(kind, operation, wait)
            self._buckets[kind] = book(self._buckets[kind], now)
        if wait > 0 and not self._timing.pause(wait):
            raise CloudError(f"{operation} given up: stopping", operation=operation, code=STOPPING)
        return wait

    def throttled(self, kind: CallKind) -> None:
        """Take note that EC2 refused a call of this kind for its rate."""
        with self._lock:
            self._buckets[kind] = slow_down(self._buckets[kind], self._timing.now())

    def bucket(self, kind: CallKind) -> Bucket:
        """Return the bucket as it is now, for metrics."""
        with self._lock:
            return refill(self._buckets[kind], self._timing.now())


def _exhausted(kind: CallKind, operation: str, wait: float) -> ThrottledError:
    return ThrottledError(
        f"{operation} not sent: the node's own budget of {kind.value} EC2 calls is used up for {wait:.0f} s",
        operation=operation,
        code=OWN_BUDGET,
        hint="EC2 refused calls before; the rate recovers by itself",
    )
