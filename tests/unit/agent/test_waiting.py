import asyncio
from collections.abc import Callable, Coroutine
from ipaddress import IPv4Address
from typing import Any

import pytest

from vpc_cni.agent.waiting import Waiter, WaitingLane
from vpc_cni.errors import CapacityError, Shortage
from vpc_cni.model import Allocation, PodIdentity, SandboxKey

FULL = CapacityError("subnet-1 is full", shortage=Shortage.SUBNET_FULL)


def key(number: int) -> SandboxKey:
    return SandboxKey("aws-cni", f"c{number}", "eth0")


def waiter(number: int, *, since: float = 0.0, deadline: float = 60.0) -> Waiter:
    return Waiter(key(number), PodIdentity(), since, deadline)


def allocation(waiting: Waiter, host: int = 9) -> Allocation:
    return Allocation(waiting.key, IPv4Address(f"10.0.0.{host}"), "eni-1", 0, waiting.pod, 0)


def lane(limit: int = 10) -> WaitingLane:
    return WaitingLane(limit=limit, patience_seconds=40)


def on_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test())

    run.__name__ = test.__name__
    return run


@on_loop
async def test_waiters_are_served_in_the_order_they_came() -> None:
    queue = lane()
    waiters = [waiter(number) for number in range(3)]
    for each in waiters:
        queue.enter(each)
    left = iter([4, 5])

    served = queue.serve(lambda each: allocation(each, host) if (host := next(left, 0)) else None)

    assert served == 2
    assert [each.ready.done() for each in waiters] == [True, True, False]
    assert str(waiters[0].ready.result().address) == "10.0.0.4"


@on_loop
async def test_a_served_waiter_is_not_served_twice() -> None:
    queue = lane()
    queue.enter(waiter(1))
    assert queue.serve(allocation) == 1
    assert queue.serve(allocation) == 0


@on_loop
async def test_a_full_lane_refuses_with_a_typed_reason() -> None:
    queue = lane(limit=1)
    queue.enter(waiter(1))
    with pytest.raises(CapacityError) as caught:
        queue.enter(waiter(2))
    assert caught.value.shortage is Shortage.WAITERS_FULL


@on_loop
async def test_a_newer_request_replaces_an_older_one_of_the_same_sandbox() -> None:
    queue = lane(limit=1)
    older, newer = waiter(1), waiter(1)
    queue.enter(older)
    queue.enter(newer)
    assert len(queue) == 1
    error = older.ready.exception()
    assert isinstance(error, CapacityError)
    assert error.shortage is Shortage.WITHDRAWN
    queue.leave(older)
    assert len(queue) == 1


@on_loop
async def test_cancel_reports_whether_someone_waited() -> None:
    queue = lane()
    waiting = waiter(1)
    queue.enter(waiting)
    assert queue.cancel(key(1), "DEL")
    assert not queue.cancel(key(1), "DEL")
    error = waiting.ready.exception()
    assert isinstance(error, CapacityError)
    assert error.shortage is Shortage.WITHDRAWN
    assert "DEL" in str(error)


@on_loop
async def test_a_waiter_times_out_at_its_deadline_without_a_failed_growth() -> None:
    queue = lane()
    waiting = waiter(1, deadline=60)
    queue.enter(waiting)
    assert queue.expire(59.9) == 60
    assert queue.expire(60.0) is None
    error = waiting.ready.exception()
    assert isinstance(error, CapacityError)
    assert error.shortage is Shortage.TIMED_OUT


@on_loop
async def test_failed_growth_limits_the_wait_to_the_patience_and_gives_its_reason() -> None:
    queue = lane()
    waiting = waiter(1, deadline=60)
    queue.enter(waiting)
    queue.growth_failed(FULL, now=5, unmet=1, can_come=True)
    assert queue.expire(44) == 45
    queue.expire(45)
    assert waiting.ready.exception() is FULL


@on_loop
async def test_failed_growth_ends_the_wait_at_once_when_no_pod_could_free_an_address() -> None:
    queue = lane()
    waiting = waiter(1)
    queue.enter(waiting)
    queue.growth_failed(FULL, now=5, unmet=1, can_come=False)
    assert waiting.ready.exception() is FULL


@on_loop
async def test_recovered_growth_gives_back_the_whole_wait() -> None:
    queue = lane()
    queue.enter(waiter(1, deadline=60))
    queue.growth_failed(FULL, now=5, unmet=1, can_come=True)
    queue.growth_recovered()
    assert queue.expire(50) == 60


@on_loop
async def test_waiters_hear_why_growth_failed() -> None:
    heard: list[str] = []
    queue = lane()
    waiting = waiter(1)
    waiting.on_progress = heard.append
    queue.enter(waiting)
    queue.growth_failed(FULL, now=5, unmet=1, can_come=True)
    assert heard == ["subnet-1 is full"]


@on_loop
async def test_waiters_that_coming_addresses_will_serve_are_not_disturbed() -> None:
    queue = lane()
    first, second = waiter(1), waiter(2)
    queue.enter(first)
    queue.enter(second)
    queue.growth_failed(FULL, now=5, unmet=1, can_come=True)
    assert (first.reason, second.reason) == (None, FULL)
