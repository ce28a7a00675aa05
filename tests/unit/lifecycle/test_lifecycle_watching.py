"""Waiting, with a clock of its own."""

from collections.abc import Callable, Iterable

import pytest

from vpc_cni.errors import AccessDeniedError, CloudError
from vpc_cni.lifecycle.outcomes import End, Judgement
from vpc_cni.lifecycle.watching import Limits, Seen, wait


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.now += seconds


def looks(steps: Iterable[End | Exception]) -> Callable[[], Seen]:
    """Return a look that goes through steps and stays at the last one."""
    left = list(steps)

    def see() -> Seen:
        step = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(step, Exception):
            raise step
        return Seen(Judgement(step), str(step))

    return see


def run(steps: Iterable[End | Exception], limits: Limits) -> tuple[End, list[str], float]:
    clock, lines = Clock(), list[str]()
    judgement = wait(looks(steps), clock, limits, lines.append)
    return judgement.end, lines, clock.now


def test_each_change_is_told_once() -> None:
    end, lines, _ = run([End.UNDER_WAY, End.UNDER_WAY, End.DONE], Limits(60))
    assert (end, lines) == (End.DONE, ["under way", "done"])


@pytest.mark.parametrize("end", [End.CONFLICT, End.FAILED, End.DEGRADED])
def test_what_has_ended_is_not_waited_for(end: End) -> None:
    assert run([end], Limits(60))[::2] == (end, 0.0)


def test_at_the_deadline_it_is_still_under_way() -> None:
    end, _, seconds = run([End.UNDER_WAY], Limits(100))
    assert end is End.UNDER_WAY
    assert 100 <= seconds <= 105


def test_a_degraded_addon_may_heal_within_its_grace() -> None:
    steps = [End.UNDER_WAY, *[End.DEGRADED] * 20, End.DONE]
    assert run(steps, Limits(60, grace=120))[0] is End.DONE
    end, _, seconds = run(steps, Limits(60, grace=3))
    assert end is End.DEGRADED
    assert 3 <= seconds <= 5


def test_a_look_that_fails_for_a_while_is_tried_again() -> None:
    lost = CloudError("x", operation="DescribeUpdate")
    assert run([lost, lost, End.DONE], Limits(60))[0] is End.DONE
    with pytest.raises(CloudError):
        run([lost], Limits(60))


def test_a_look_that_is_denied_is_not() -> None:
    with pytest.raises(AccessDeniedError):
        run([AccessDeniedError("x", operation="DescribeUpdate"), End.DONE], Limits(60))
