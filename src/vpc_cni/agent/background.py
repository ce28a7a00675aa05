"""What the agent does beside serving pods: heartbeat, journal compaction, comparison with EC2, clean-up.

Each is a loop of its own; a failure inside one is logged and counted and ends that round only.
"""

import asyncio
import contextlib
import functools
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from vpc_cni.agent.discovery import AttachedEnis, NodeIdentity
from vpc_cni.agent.errors_seen import ErrorsSeen
from vpc_cni.agent.health import Health
from vpc_cni.agent.journal_file import JournalFile
from vpc_cni.agent.leaks import delete_leaked_enis
from vpc_cni.agent.ledger import Ledger
from vpc_cni.agent.metrics import AgentMetrics
from vpc_cni.agent.reconciler import Reconciler
from vpc_cni.agent.steps import Reach, Step
from vpc_cni.ec2 import Ec2Client
from vpc_cni.errors import VpcCniError
from vpc_cni.ipam.ownership import MIN_LEAK_AGE

_log = logging.getLogger(__name__)

_HEARTBEAT_SECONDS = 0.5
_COMPACTION_LOOK_SECONDS = 1.0
_COMPACTION_RETRY_SECONDS = 30.0
_FORGET_SECONDS = 15.0
_LEAK_JITTER_SECONDS = 300.0
# What EC2 describes is usually not older than this.
_LAG_SECONDS = 2.0

T = TypeVar("T")
InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


class Background:
    """Owns the background tasks; ``stop`` ends them all."""

    def __init__(self, metrics: AgentMetrics, errors: ErrorsSeen, rng: random.Random) -> None:
        self._metrics = metrics
        self._errors = errors
        self._rng = rng
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run ``work`` until it ends or the agent stops."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.critical("background task %s failed: a bug", task.get_name(), exc_info=task.exception())
            self._metrics.errors.labels("backgroundTask").inc()

    async def stop(self) -> None:
        """Cancel all tasks and wait for them."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _round(self, what: str, work: Awaitable[T]) -> T | None:
        """Run one round of a loop; whatever fails ends this round only, and is seen."""
        try:
            return await work
        except Exception as err:
            self._metrics.errors.labels("backgroundTask").inc()
            self._errors.add(what, err)
            if isinstance(err, VpcCniError):
                _log.warning("%s: %s", what, err)
            else:
                _log.exception("%s failed: a bug", what)
            return None

    async def beat(self, health: Health) -> None:
        """Show that the loop turns."""
        while True:
            health.beat()
            await asyncio.sleep(_HEARTBEAT_SECONDS)

    async def compact(self, journal: JournalFile, clock: Callable[[], float], reach: Reach) -> None:
        """Rewrite the journal when it has grown, a slice at a time, between requests."""
        while True:
            if not journal.wants_compaction():
                await asyncio.sleep(_COMPACTION_LOOK_SECONDS)
                continue
            more = await self._round("compact the journal", _slice(journal, clock()))
            if more is None:  # it failed: the present file goes on
                await asyncio.sleep(_COMPACTION_RETRY_SECONDS)
            elif more:
                reach(Step.COMPACTION_BEGUN)
                await asyncio.sleep(0)
            else:
                reach(Step.JOURNAL_COMPACTED)

    async def forget(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        """Keep the journal as small as what the node holds, however long the agent runs."""
        while True:
            await asyncio.sleep(_FORGET_SECONDS)
            await self._round("forget what is over", _forget(ledger, clock()))

    async def reconcile(
        self,
        reconciler: Reconciler,
        *,
        period_seconds: float,
        provisioning: bool,
        after: Callable[[AttachedEnis], Awaitable[None]],
        disagreed: asyncio.Event,
    ) -> None:
        """Compare with EC2 each period, a little spread so that nodes do not ask in step.

        Args:
            disagreed: set when EC2 has refused what our picture of it allows; then the next look comes soon.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(disagreed.wait(), period_seconds * (0.9 + self._rng.random() / 5))
                await asyncio.sleep(_LAG_SECONDS)
            disagreed.clear()
            seen = await self._round("compare with EC2", reconciler.run_once(provisioning=provisioning))
            if seen is not None:
                await self._round("follow the VPC", after(seen))

    async def clean_leaks(
        self, client: Ec2Client, node: NodeIdentity, *, cluster_name: str, period_seconds: float, in_thread: InThread
    ) -> None:
        """Look for leaked ENIs each period; nodes of a cluster spread over it, since each looks through the VPC."""
        look = functools.partial(
            delete_leaked_enis,
            client,
            own_vpc_id=node.vpc_id,
            cluster_name=cluster_name,
            own_instance_id=node.instance.instance_id,
            min_age=min(MIN_LEAK_AGE, timedelta(seconds=period_seconds)),
        )
        while True:
            await asyncio.sleep(self._rng.random() * min(_LEAK_JITTER_SECONDS, period_seconds))
            await self._round("look for leaked ENIs", in_thread(look))
            await asyncio.sleep(period_seconds)


async def _forget(ledger: Ledger, now: float) -> None:
    ledger.forget_ended(now)


async def _slice(journal: JournalFile, now: float) -> bool:
    return journal.compact_slice(now)
