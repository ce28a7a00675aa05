"""Keeps the pool at its plan: plans on demand, starts the planned actions, and remembers what EC2 refused.

Planning is pure (``ipam.plan_pool``) and cheap; it happens whenever something changed: an ADD waits, a DEL came, an
action ended, a pause or cooldown is over. Each action runs as a task of its own, so several ENIs grow at once.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace

from vpc_cni.agent.errors_seen import ErrorsSeen
from vpc_cni.agent.ledger import Ledger
from vpc_cni.agent.metrics import AgentMetrics
from vpc_cni.agent.provision import Provisioner
from vpc_cni.agent.waiting import WaitingLane
from vpc_cni.ec2 import shortage_of
from vpc_cni.errors import CloudError, Shortage, VpcCniError
from vpc_cni.ipam import (
    Action,
    AssignAddresses,
    Conditions,
    CreateEni,
    EniState,
    InstanceLimits,
    Pause,
    PoolPlan,
    ReleaseEni,
    Targets,
    UnassignAddresses,
    plan_pool,
)

_log = logging.getLogger(__name__)

# First and longest pause after a refusal, in seconds; doubled with each refusal in a row. A subnet is paused alone;
# every other shortage pauses growth of the whole node.
_PAUSES: Mapping[Shortage, tuple[float, float]] = {
    Shortage.SUBNET_FULL: (10, 120),
    Shortage.ENI_LIMIT: (30, 300),
    Shortage.THROTTLED: (5, 120),
    Shortage.DENIED: (30, 300),
    Shortage.EC2_FAILED: (1, 60),
}
# Growth is tried again by itself, soon.
_PASSING = frozenset((Shortage.THROTTLED, Shortage.EC2_FAILED))
# A burst of ADDs and DELs that find addresses makes one plan, not one each: a plan looks at every free address.
_GATHER_SECONDS = 0.05
_DEFAULT_PAUSE = (5.0, 60.0)


@dataclass(slots=True)
class Refusals:
    """Refusals in a row, and the pauses that they led to."""

    in_a_row: dict[Shortage, int] = field(default_factory=dict)
    growth_pause: Pause | None = None
    subnet_pauses: dict[str, Pause] = field(default_factory=dict)

    def add(self, shortage: Shortage, subnet_id: str, now: float, chance: float) -> Pause:
        """Pause growth after a refusal. ``chance`` in [0, 1) spreads nodes that were refused together."""
        count = self.in_a_row.get(shortage, 0)
        self.in_a_row[shortage] = count + 1
        first, longest = _PAUSES.get(shortage, _DEFAULT_PAUSE)
        seconds = min(longest, first * 2**count) * (0.75 + chance / 2)
        pause = Pause(now + seconds, shortage)
        if shortage is Shortage.SUBNET_FULL:
            self.subnet_pauses[subnet_id] = pause
        else:
            self.growth_pause = pause
        return pause

    def clear(self, subnet_id: str) -> None:
        """Growth in a subnet worked."""
        self.in_a_row.clear()
        self.growth_pause = None
        self.subnet_pauses.pop(subnet_id, None)


def _can_come(plan: PoolPlan) -> bool:
    """Whether an ADD without an address may still get one: a pod may go, time may pass, EC2 may work again. Pure."""
    passes_soon = plan.shortfall is not None and plan.shortfall.shortage in _PASSING
    return passes_soon or plan.arithmetic.assigned + plan.arithmetic.cooling > 0


def _shows_disagreement(error: VpcCniError) -> bool:
    """Whether EC2 has refused what our picture of it allows. Pure.

    A plan never asks for more than a node or an ENI holds. So when EC2 says that one is full, it has ENIs or addresses
    that its descriptions did not show: a predecessor got them a moment before it was killed, or someone else did. That
    passes with the next look, and is no limit of the node.
    """
    return isinstance(error, CloudError) and error.code in ("PrivateIpAddressLimitExceeded", "AttachmentLimitExceeded")


def _shortage_behind(error: VpcCniError) -> Shortage:
    """Say what a failed growth lacks. Pure."""
    if not isinstance(error, CloudError) or _shows_disagreement(error):
        return Shortage.EC2_FAILED
    return shortage_of(error)


class Grower:
    """Plans and acts.

    Args:
        conditions: circumstances of the node without what this class knows itself (pauses, last shrink).
        clock: CLOCK_BOOTTIME seconds.
        chance: uniform in [0, 1).
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        provisioner: Provisioner,
        lane: WaitingLane,
        targets: Targets,
        limits: InstanceLimits,
        conditions: Callable[[], Conditions],
        metrics: AgentMetrics,
        errors: ErrorsSeen,
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._provisioner = provisioner
        self._lane = lane
        self._targets = targets
        self._limits = limits
        self._conditions = conditions
        self._metrics = metrics
        self._errors = errors
        self._clock = clock
        self._chance = chance
        self._refusals = Refusals()
        self._last_shrink_at = -math.inf
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._replan_handle: asyncio.Handle | None = None
        self._replan_is_urgent = False
        self._started = False
        self.disagreed = asyncio.Event()
        """Set when EC2 has refused what our picture of it allows."""
        self.on_action_ended: Callable[[], None] = lambda: None
        """Called on the loop after each action: addresses may be free again."""
        self.plan: PoolPlan | None = None
        """The last plan, for status."""

    @property
    def targets(self) -> Targets:
        return self._targets

    def bound_pods(self, max_pods: int) -> None:
        """Plan for this number of pods at most, from now on."""
        if max_pods != self._targets.max_pods:
            self._targets = replace(self._targets, max_pods=max_pods)
            self.nudge()

    @property
    def limits(self) -> InstanceLimits:
        return self._limits

    def start(self) -> None:
        """Act on plans from now on."""
        self._started = True
        self.nudge()

    async def stop(self) -> None:
        """Start nothing new and let go of running actions; the journal knows them."""
        self._started = False
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)

    def nudge(self) -> None:
        """Plan again: something changed. At once while ADDs wait; else a little later, one plan for many changes."""
        if not self._started:
            return
        loop = asyncio.get_running_loop()
        urgent = len(self._lane) > 0
        if self._replan_handle is not None:
            if not urgent or self._replan_is_urgent:
                return
            self._replan_handle.cancel()
        self._replan_is_urgent = urgent
        self._replan_handle = loop.call_soon(self._replan) if urgent else loop.call_later(_GATHER_SECONDS, self._replan)

    def _replan(self) -> None:
        self._replan_handle = None
        if not self._started:
            return
        now = self._clock()
        plan = plan_pool(
            self._ledger.pool.view(now),
            self._targets,
            self._limits,
            demand=len(self._lane),
            conditions=self._conditions_now(),
            now=now,
        )
        self.plan = plan
        if plan.shrinks:
            self._last_shrink_at = now
        for action in plan.actions:
            self._start_action(action)
        if plan.shortfall is not None:
            self._lane.growth_failed(
                plan.shortfall.as_error(), now, unmet=plan.shortfall.unmet, can_come=_can_come(plan)
            )
        self._schedule(plan.recheck_at, now)

    def _conditions_now(self) -> Conditions:
        return replace(
            self._conditions(),
            last_shrink_at=self._last_shrink_at,
            growth_pause=self._refusals.growth_pause,
            subnet_pauses=self._refusals.subnet_pauses,
        )

    def _schedule(self, at: float | None, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            # A little late rather than early: at the very moment, the plan may still see the pause.
            self._timer = asyncio.get_running_loop().call_later(max(0.0, at - now) + 0.005, self.nudge)

    # -- actions --------------------------------------------------------------------------------------------------

    def _start_action(self, action: Action) -> None:
        """Mark the pool before the first await, so that the next plan does not repeat the action."""
        _log.info("pool action: %s", action)
        provisioner = self._provisioner
        work: Coroutine[None, None, None]
        match action:
            case CreateEni():
                growth = provisioner.begin_create(action)
                work = self._grow("increaseDatastorePool", action.subnet_id, provisioner.create(action, growth))
            case AssignAddresses():
                growth = provisioner.begin_assign(action)
                eni = self._ledger.pool.eni(action.eni_id)
                subnet_id = eni.subnet_id if eni is not None else ""
                work = self._grow("increaseDatastorePool", subnet_id, provisioner.assign(action, growth))
            case UnassignAddresses():
                provisioner.begin_unassign(action)
                work = self._shrink(action, provisioner.unassign(action))
            case _:
                provisioner.begin_release(action)
                work = self._shrink(action, provisioner.release(action))
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._action_ended)

    def _action_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("pool action failed: a bug", exc_info=task.exception())
        self.on_action_ended()
        self.nudge()

    async def _grow(self, site: str, subnet_id: str, work: Coroutine[None, None, None]) -> None:
        with self._metrics.in_progress.labels(site).track_inprogress():
            try:
                await work
            except VpcCniError as err:
                self._refused(subnet_id, err)
            else:
                self._refusals.clear(subnet_id)
                self._lane.growth_recovered()

    async def _shrink(self, action: UnassignAddresses | ReleaseEni, work: Coroutine[None, None, None]) -> None:
        with self._metrics.in_progress.labels("decreaseDatastorePool").track_inprogress():
            try:
                await work
            except VpcCniError as err:
                if not isinstance(err, CloudError):  # EC2's refusals are settled where EC2 was asked
                    self._undo_shrinking(action)
                self._metrics.errors.labels("decreaseIPPool").inc()
                self._errors.add(getattr(err, "operation", "shrink"), err)
                _log.warning("shrinking failed: %s", err)

    def _undo_shrinking(self, action: UnassignAddresses | ReleaseEni) -> None:
        """Let pods have again what was closed for an action that did not come to ask EC2."""
        pool = self._ledger.pool
        if isinstance(action, UnassignAddresses):
            pool.cancel_release(action.addresses)
        elif pool.eni_state(action.eni_id) is EniState.DETACHING:
            pool.set_eni_state(action.eni_id, EniState.READY)

    def _refused(self, subnet_id: str, error: VpcCniError) -> None:
        shortage = _shortage_behind(error)
        if _shows_disagreement(error):
            self.disagreed.set()
        pause = self._refusals.add(shortage, subnet_id, self._clock(), self._chance())
        self._metrics.shortages.labels(str(shortage)).inc()
        self._metrics.errors.labels("increaseIPPoolAllocENI").inc()
        self._errors.add(getattr(error, "operation", "grow"), error)
        _log.warning(
            "growth failed, next try in %.1f s: %s",
            pause.until - self._clock(),
            error,
            extra={"fields": {"shortage": str(shortage), "subnet": subnet_id}},
        )
