"""Threads that share a budget, with real time: each gets its share."""

from concurrent.futures import ThreadPoolExecutor

from vpc_cni.ec2.budget import BucketLimits, Budget, CallKind
from vpc_cni.ec2.timing import Timing


def test_threads_get_equal_shares():
    timing = Timing()
    budget = Budget(timing, {CallKind.MUTATING: BucketLimits(1, 300.0, 1.0, 0.0)})
    end = timing.now() + 0.4

    def work(_name: int) -> int:
        turns = 0
        while timing.now() < end:
            budget.acquire(CallKind.MUTATING, "CreateTags", end + 1)
            turns += 1
        return turns

    with ThreadPoolExecutor(6) as threads:
        shares = list(threads.map(work, range(6)))
    assert sum(shares) <= 1 + 300 * 0.4 + len(shares)
    assert min(shares) > 0.7 * max(shares)
