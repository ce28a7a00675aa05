"""The planner: from a picture of the pool and its targets to EC2 actions. Pure.

``T`` total, ``A`` assigned, ``V`` available, ``W`` warm IP, ``M`` minimum IP, ``E`` warm ENI target, ``m`` slots of an
ENI, ``D`` waiting ADDs, ``S`` = ``V`` - ``D``. IP targets count when ``W`` > 0 or ``M`` > 0; then ``E`` is ignored.

| | with IP targets | with ENI target |
|---|---|---|
| short | max(W - S, M - T, 0) | max(max(E*m, 1) - S, 0) |
| over | max(min(S - W, T - M), 0) | - |
| growth asks for | short | whole ENIs, until short is covered |
| an ENI may go when | S - n >= W and T - n >= M | S >= (E+1)*m and S - n >= max(E*m, 1) |

(``n`` = free addresses of that ENI; for shrinking, ``S`` and ``T`` leave out what is only coming.)
Source: amazon-vpc-cni-k8s docs/eni-and-ip-target.md. Decided differently here:

- An address in cooldown is not available: counting it would let an ADD fail beside a "full" pool.
- Growth happens at once for all that is short, on several ENIs, and what was asked for already counts. An ENI that
  grows now is not asked about a second time meanwhile: what it has room for is postponed until its answer is there.
- The pool is bounded by max pods: warm growth stops at ``T`` = max pods. Waiting ADDs may pass that line by the number
  of cooling addresses, as long as pods (``A`` + ``V``) stay within max pods.
- An ENI is released only if the pool is not short afterwards: with ``E`` = 0 the original rule releases and re-creates.
- Shrinking is held back like growth while the agent stops or the node is cordoned, and while ADDs wait.
"""

from vpc_cni.ipam._growth import plan_growth
from vpc_cni.ipam._shrink import plan_shrink
from vpc_cni.ipam._situation import Situation
from vpc_cni.ipam.limits import InstanceLimits
from vpc_cni.ipam.plan import Action, Arithmetic, Conditions, PoolPlan, Targets
from vpc_cni.ipam.states import EniState, EniView, PoolView


def plan_pool(
    view: PoolView,
    targets: Targets,
    limits: InstanceLimits,
    *,
    demand: int,
    conditions: Conditions,
    now: float,
) -> PoolPlan:
    """Decide how the pool should change now. Pure.

    The caller starts what the plan says (``Pool.start_growth``, ``begin_release``) before it plans again: then a second
    plan at the same moment is empty.

    Args:
        demand: ADDs that wait for an address.
        now: CLOCK_BOOTTIME seconds.
    """
    sums = summarize(view, targets, limits, demand=demand, conditions=conditions)
    situation = Situation(view, sums, targets, conditions, now)
    growing, shrinking = plan_growth(situation), plan_shrink(situation)
    actions: tuple[Action, ...] = (*growing.actions, *shrinking.actions)
    moments = (*growing.rechecks, *shrinking.rechecks, view.next_ready_at)
    return PoolPlan(
        actions=actions,
        arithmetic=sums,
        reasons=(*growing.reasons, *shrinking.reasons),
        shortfall=growing.shortfall,
        recheck_at=min((at for at in moments if at is not None and at > now), default=None),
        postponed=growing.postponed,
    )


def summarize(
    view: PoolView, targets: Targets, limits: InstanceLimits, *, demand: int, conditions: Conditions
) -> Arithmetic:
    """Add the pool up and compare it with its targets. Pure."""
    slots = limits.slots_per_eni
    assigned = sum(eni.assigned for eni in view.enis)
    cooling = sum(eni.cooling for eni in view.enis)
    quarantined = sum(eni.quarantined for eni in view.enis)
    free = sum(len(eni.free) for eni in view.enis if eni.state is EniState.READY)
    coming = sum(_coming(eni) for eni in view.enis) + sum(growth.count for growth in view.creating)
    total = assigned + cooling + quarantined + free + coming
    spare = free + coming - demand
    return Arithmetic(
        total=total,
        assigned=assigned,
        cooling=cooling,
        quarantined=quarantined,
        releasing=sum(eni.releasing for eni in view.enis),
        free=free,
        coming=coming,
        waiting=demand,
        short=_short(targets, slots, total, spare),
        over=_over(targets, total, spare),
        enis=len(view.enis) + len(view.creating),
        eni_limit=_eni_limit(targets, limits) - conditions.unmanaged_enis,
        slots=slots,
    )


def _coming(eni: EniView) -> int:
    attaching = len(eni.free) if eni.state is EniState.ATTACHING else 0
    return attaching + eni.growing


def _eni_limit(targets: Targets, limits: InstanceLimits) -> int:
    return min(targets.max_eni, limits.max_enis) if targets.max_eni >= 1 else limits.max_enis


def _short(targets: Targets, slots: int, total: int, spare: int) -> int:
    if targets.has_ip_targets:
        return max(targets.warm_ip - spare, targets.minimum_ip - total, 0)
    return max(max(targets.warm_eni * slots, 1) - spare, 0)


def _over(targets: Targets, total: int, spare: int) -> int:
    if not targets.has_ip_targets:
        return 0
    return max(min(spare - targets.warm_ip, total - targets.minimum_ip), 0)
