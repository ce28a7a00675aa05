"""The client-side request budget: buckets as values, then threads in the shell."""

import pytest

from vpc_cni.ec2.budget import (
    DEFAULT_LIMITS,
    BucketLimits,
    Budget,
    CallKind,
    book,
    full_bucket,
    refill,
    slow_down,
    wait_seconds,
)
from vpc_cni.ec2.failures import OWN_BUDGET, STOPPING
from vpc_cni.errors import CloudError, ThrottledError

LIMITS = BucketLimits(burst=2, ceiling_rate=4.0, floor_rate=0.5, recovery=0.1)


def spent(now: float = 0.0):
    return book(book(full_bucket(LIMITS, now), now), now)


def test_a_burst_is_free_and_then_the_rate_rules():
    bucket = full_bucket(LIMITS, 0.0)
    waits = []
    for _ in range(5):
        waits.append(wait_seconds(bucket, 0.0))
        bucket = book(bucket, 0.0)
    assert waits == [0.0, 0.0, 0.25, 0.5, 0.75]


def test_tokens_come_back_with_time_up_to_the_burst():
    assert refill(spent(), 0.25).tokens == pytest.approx(1.0)
    assert refill(spent(), 1000.0).tokens == LIMITS.burst


def test_a_refusal_halves_the_rate_and_forgets_saved_tokens():
    slowed = slow_down(full_bucket(LIMITS, 0.0), 0.0)
    assert slowed.rate == 2.0
    assert slowed.tokens == 0.0


def test_refusals_of_one_episode_count_once():
    bucket = full_bucket(LIMITS, 0.0)
    for moment in (0.0, 0.2, 0.9):
        bucket = slow_down(bucket, moment)
    assert bucket.rate == pytest.approx(2.0 + 0.9 * LIMITS.recovery)
    assert slow_down(bucket, 1.0).rate == pytest.approx((2.0 + 1.0 * LIMITS.recovery) / 2)


def test_the_rate_never_falls_below_the_floor():
    bucket = full_bucket(LIMITS, 0.0)
    for moment in range(0, 40, 2):
        bucket = slow_down(bucket, float(moment))
    assert bucket.rate == LIMITS.floor_rate


def test_the_rate_recovers_by_addition_up_to_the_ceiling():
    slowed = slow_down(full_bucket(LIMITS, 0.0), 0.0)
    assert refill(slowed, 10.0).rate == pytest.approx(3.0)
    assert refill(slowed, 1000.0).rate == LIMITS.ceiling_rate


def test_a_refusal_keeps_what_is_booked():
    owing = book(spent(), 0.0)
    assert slow_down(owing, 0.0).tokens == owing.tokens


def test_a_clock_that_steps_back_changes_nothing():
    bucket = spent(100.0)
    assert refill(bucket, 40.0) == bucket


def test_acquire_waits_for_the_booked_turn(clock):
    budget = Budget(clock.timing(), {CallKind.MUTATING: LIMITS})
    waited = [budget.acquire(CallKind.MUTATING, "CreateTags", clock.at + 60) for _ in range(4)]
    assert waited == [0.0, 0.0, 0.25, 0.25]
    assert clock.at == pytest.approx(1000.5)


def test_acquire_refuses_at_once_what_would_miss_the_deadline_and_books_nothing(clock):
    budget = Budget(clock.timing(), {CallKind.MUTATING: BucketLimits(1, 0.1, 0.1, 0.0)})
    budget.acquire(CallKind.MUTATING, "CreateTags", clock.at + 5)
    for _ in range(3):
        with pytest.raises(ThrottledError) as caught:
            budget.acquire(CallKind.MUTATING, "CreateTags", clock.at + 5)
        assert (caught.value.code, caught.value.operation) == (OWN_BUDGET, "CreateTags")
    assert clock.waits == []
    assert budget.acquire(CallKind.MUTATING, "CreateTags", clock.at + 10) == pytest.approx(10.0)


def test_acquire_ends_when_the_agent_stops(clock):
    budget = Budget(clock.timing(), {CallKind.READING: BucketLimits(1, 1.0, 0.1, 0.0)})
    budget.acquire(CallKind.READING, "DescribeSubnets", clock.at + 60)
    clock.set()
    with pytest.raises(CloudError) as caught:
        budget.acquire(CallKind.READING, "DescribeSubnets", clock.at + 60)
    assert caught.value.code == STOPPING


def test_reads_and_changes_have_a_budget_each(clock):
    budget = Budget(clock.timing())
    budget.throttled(CallKind.READING)
    assert budget.bucket(CallKind.READING).rate == DEFAULT_LIMITS[CallKind.READING].ceiling_rate / 2
    assert budget.bucket(CallKind.MUTATING).rate == DEFAULT_LIMITS[CallKind.MUTATING].ceiling_rate
