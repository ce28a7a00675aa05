"""ADDs that wait for an address: a bounded queue, first come first served, in a lane of its own.

A waiter holds an asyncio future of its address; whoever frees or adds addresses serves the queue. Nothing here
blocks, so a DEL is handled while hundreds wait.

When does a waiter give up? At its own deadline; or, once growth has failed, after its *patience*: the time within
which a DEL that happens now would still yield an address (one cooldown and a little more). When the node holds no
pod and nothing cools, no DEL can help and the waiter is told at once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from vpc_cni.errors import CapacityError, Shortage
from vpc_cni.model import Allocation, PodIdentity, SandboxKey


@dataclass(slots=True, eq=False)
class Waiter:
    """One ADD without an address. ``ready`` completes with its address, or fails with the reason."""

    key: SandboxKey
    pod: PodIdentity
    since: float
    deadline: float
    ready: asyncio.Future[Allocation] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    on_progress: Callable[[str], None] = lambda _state: None
    failed_since: float | None = None
    reason: CapacityError | None = None

    def gives_up_at(self, patience_seconds: float) -> float:
        """When this waiter stops waiting, as far as is known now."""
        if self.failed_since is None:
            return self.deadline
        return min(self.deadline, self.failed_since + patience_seconds)


class WaitingLane:
    """FIFO of waiters, keyed by sandbox. Not thread safe: belongs to the loop."""

    def __init__(self, *, limit: int, patience_seconds: float) -> None:
        self._limit = limit
        self._patience = patience_seconds
        self._waiters: OrderedDict[SandboxKey, Waiter] = OrderedDict()
        self.on_shortage: Callable[[PodIdentity, CapacityError], None] = lambda _pod, _error: None
        """Told when a pod learns that no address comes for it, now or at all: once for each reason that it is given."""

    def __len__(self) -> int:
        return len(self._waiters)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(list(self._waiters.values()))

    def enter(self, waiter: Waiter) -> None:
        """Queue an ADD.

        A second request for the same sandbox replaces the first: its plugin is gone, since a runtime never runs two
        ADDs of one sandbox at once.

        Raises:
            CapacityError: as many ADDs wait already as are allowed to.
        """
        self.cancel(waiter.key, "replaced by a newer request for the same sandbox")
        if len(self._waiters) >= self._limit:
            error = CapacityError(
                f"{len(self._waiters)} ADDs wait for an address already",
                shortage=Shortage.WAITERS_FULL,
                hint="the runtime will try again; see `vpc-cni node status` for what the pool waits for",
            )
            self.on_shortage(waiter.pod, error)
            raise error
        self._waiters[waiter.key] = waiter

    def leave(self, waiter: Waiter) -> None:
        """Forget a waiter, served or not."""
        if self._waiters.get(waiter.key) is waiter:
            del self._waiters[waiter.key]

    def cancel(self, key: SandboxKey, why: str) -> bool:
        """End the wait of a sandbox whose ADD nobody wants any more. True when there was one."""
        waiter = self._waiters.pop(key, None)
        if waiter is None:
            return False
        if not waiter.ready.done():
            waiter.ready.set_exception(CapacityError(f"ADD of {key} was cancelled: {why}", shortage=Shortage.WITHDRAWN))
        return True

    def abort_all(self) -> None:
        """Let go of all waiters without an answer: their plugins see the connection close and try again."""
        for waiter in list(self._waiters.values()):
            waiter.ready.cancel()
        self._waiters.clear()

    def serve(self, assign: Callable[[Waiter], Allocation | None]) -> int:
        """Give addresses to waiters in order until ``assign`` has none; return how many were served."""
        served = 0
        for waiter in list(self._waiters.values()):
            if waiter.ready.done():
                continue
            allocation = assign(waiter)
            if allocation is None:
                break
            waiter.ready.set_result(allocation)
            self.leave(waiter)  # at once: a plan made before the ADD wakes up must not count it as demand
            served += 1
        return served

    def growth_failed(self, error: CapacityError, now: float, *, unmet: int, can_come: bool) -> None:
        """Tell the last ``unmet`` waiters why no address comes for them; the others are still covered.

        Args:
            can_come: a DEL, time or another try may still bring one; otherwise they stop waiting now.
        """
        unserved = [waiter for waiter in self._waiters.values() if not waiter.ready.done()]
        for waiter in unserved[max(0, len(unserved) - unmet) :]:
            if waiter.failed_since is None:
                waiter.failed_since = now
                waiter.on_progress(str(error))
            if waiter.reason is None or waiter.reason.shortage is not error.shortage:
                self.on_shortage(waiter.pod, error)
            waiter.reason = error
            if not can_come:
                waiter.ready.set_exception(error)

    def growth_recovered(self) -> None:
        """Growth works again: earlier failures no longer shorten anyone's wait."""
        for waiter in self._waiters.values():
            waiter.failed_since = None
            waiter.reason = None

    def expire(self, now: float) -> float | None:
        """End the waits that are over; return when the next one will be, None when nobody waits."""
        upcoming: float | None = None
        for waiter in list(self._waiters.values()):
            gives_up_at = waiter.gives_up_at(self._patience)
            if gives_up_at <= now:
                if not waiter.ready.done():
                    waiter.ready.set_exception(waiter.reason or self._timed_out(waiter, now))
            elif upcoming is None or gives_up_at < upcoming:
                upcoming = gives_up_at
        return upcoming

    def _timed_out(self, waiter: Waiter, now: float) -> CapacityError:
        error = CapacityError(
            f"no address became free for {waiter.key} within {now - waiter.since:.1f} s",
            shortage=Shortage.TIMED_OUT,
            hint="the runtime will try again; see `vpc-cni node status` for what the pool waits for",
        )
        self.on_shortage(waiter.pod, error)
        return error
