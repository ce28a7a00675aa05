"""Waits for EKS to end its work, and tells how far it is. Thin: what it means is decided in ``outcomes``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from vpc_cni.errors import CloudError
from vpc_cni.lifecycle.outcomes import End, Judgement, judge_creation, judge_deletion, judge_update
from vpc_cni.lifecycle.records import ManagedAddon, Update

_POLL_SECONDS = 0.5
_LATER_POLL_SECONDS = 5.0
# Small clusters are done within this; others are asked about less often, since EKS counts calls.
_SHORT_SECONDS = 15.0


class Clock(Protocol):
    """Monotonic seconds, and a way to let them pass."""

    def monotonic(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...


class Source(Protocol):
    """What is asked; :class:`~vpc_cni.lifecycle.eks.Eks` is one."""

    def find_addon(self) -> ManagedAddon | None: ...
    def describe_update(self, identifier: str) -> Update: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: until EKS ends its work, and after that for a degraded add-on to heal by itself."""

    timeout: float
    grace: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: how far the change is, and a line about it for people."""

    judgement: Judgement
    line: str


def watch_update(source: Source, identifier: str, rollout: Callable[[], str]) -> Callable[[], Seen]:
    """Return a look at an update; ``rollout`` says how far the pods are, empty when that is not known."""

    def see() -> Seen:
        update = source.describe_update(identifier)
        addon = source.find_addon()
        judgement = judge_update(update, addon) if addon else judge_creation(None)
        return Seen(judgement, _line(f"update {identifier} {update.status}", addon, rollout()))

    return see


def watch_creation(source: Source, rollout: Callable[[], str]) -> Callable[[], Seen]:
    def see() -> Seen:
        addon = source.find_addon()
        return Seen(judge_creation(addon), _line("creation", addon, rollout()))

    return see


def watch_deletion(source: Source) -> Callable[[], Seen]:
    def see() -> Seen:
        addon = source.find_addon()
        return Seen(judge_deletion(addon), _line("deletion", addon, ""))

    return see


def wait(see: Callable[[], Seen], clock: Clock, limits: Limits, report: Callable[[str], None]) -> Judgement:
    """Look until the work has ended, or time is over; ``report`` hears each line that is new.

    A look that fails for a reason that may pass is tried again: the work goes on without us.

    Raises:
        VpcCniError: a look failed for good, or still failed at the deadline.
    """
    start, last = clock.monotonic(), ""
    ended_at: float | None = None
    while True:
        elapsed = clock.monotonic() - start
        seen = _try(see, may_fail=elapsed < limits.timeout)
        if seen is not None and seen.line != last:
            report(seen.line)
            last = seen.line
        end = seen.judgement.end if seen else End.UNDER_WAY
        if end is End.DEGRADED and ended_at is None:
            ended_at = elapsed
        over = limits.timeout if ended_at is None else ended_at + limits.grace
        if seen is not None and (end not in (End.UNDER_WAY, End.DEGRADED) or elapsed >= over):
            return seen.judgement
        clock.sleep(_POLL_SECONDS if elapsed < _SHORT_SECONDS else _LATER_POLL_SECONDS)


def _try(see: Callable[[], Seen], *, may_fail: bool) -> Seen | None:
    try:
        return see()
    except CloudError as err:
        if not (may_fail and err.retryable):
            raise
        return None


def _line(what: str, addon: ManagedAddon | None, rollout: str) -> str:
    said = f"{what}; add-on {addon.status if addon else 'gone'}"
    return f"{said}; {rollout}" if rollout else said
