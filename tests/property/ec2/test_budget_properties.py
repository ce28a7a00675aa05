"""Whatever happens, in whatever order: the bucket stays within its limits and admits no more than it promises."""

from hypothesis import given
from hypothesis import strategies as st

from vpc_cni.ec2.budget import BucketLimits, book, full_bucket, refill, slow_down, wait_seconds

limits = st.builds(
    BucketLimits,
    burst=st.floats(1, 50),
    ceiling_rate=st.floats(1.0, 20.0),
    floor_rate=st.floats(0.05, 1.0),
    recovery=st.floats(0.0, 1.0),
)
steps = st.lists(st.tuples(st.sampled_from(["ask", "refused"]), st.floats(0.0, 5.0)), max_size=60)


@given(limits, steps)
def test_rate_and_tokens_stay_within_limits(shape, history):
    now, bucket = 0.0, full_bucket(shape, 0.0)
    for kind, pause in history:
        now += pause
        bucket = book(bucket, now) if kind == "ask" else slow_down(bucket, now)
        assert shape.floor_rate <= bucket.rate <= shape.ceiling_rate
        assert bucket.tokens <= shape.burst


@given(limits, steps)
def test_turns_come_in_the_order_of_asking_and_never_faster_than_the_ceiling(shape, history):
    now, bucket, turns = 0.0, full_bucket(shape, 0.0), []
    for kind, pause in history:
        now += pause
        if kind == "refused":
            bucket = slow_down(bucket, now)
            continue
        turns.append(now + wait_seconds(bucket, now))
        bucket = book(bucket, now)
    for first in range(len(turns)):
        for last in range(first, len(turns)):
            span = max(0.0, turns[last] - turns[first])
            # A cut between two bookings can let a later one wait longer, never a burst come sooner.
            assert last - first + 1 <= shape.burst + 1 + span * shape.ceiling_rate + 1e-6


@given(limits, st.floats(0, 100), st.floats(0, 100))
def test_refilling_in_two_steps_gives_no_fewer_tokens_than_the_wait_promised(shape, first, second):
    bucket = book(full_bucket(shape, 0.0), 0.0)
    once = refill(bucket, first + second)
    twice = refill(refill(bucket, first), first + second)
    assert twice.tokens >= once.tokens - 1e-6
    assert abs(twice.rate - once.rate) < 1e-6
