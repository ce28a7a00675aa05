"""The shrinking half of the planner: what may go back to EC2."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from vpc_cni.ipam._situation import Situation
from vpc_cni.ipam.plan import ReleaseEni, UnassignAddresses
from vpc_cni.ipam.states import EniState, EniView, FreeAddress

SHRINK_INTERVAL_SECONDS = 30.0
MIN_ENI_LIFE_SECONDS = 60.0


@dataclass(slots=True)
class Shrinking:
    """The releases of one plan while it is put together; ``over`` is what the IP targets do not need."""

    over: int
    given_back: int = 0
    actions: list[UnassignAddresses | ReleaseEni] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    rechecks: list[float] = field(default_factory=list)

    @property
    def surplus(self) -> int:
        return self.over - self.given_back

    @property
    def releases_eni(self) -> bool:
        return any(isinstance(action, ReleaseEni) for action in self.actions)


def plan_shrink(situation: Situation) -> Shrinking:
    """Choose at most one ENI and the surplus addresses of the others. Pure.

    The ENIs that the next pods would go to last are emptied first. An ENI without pods that fits into the surplus is
    not emptied address by address: it waits for its turn to go as a whole.
    """
    sums = situation.sums
    # What EC2 has only promised may never come: nothing is given back in exchange for it.
    shrinking = Shrinking(over=max(sums.over - sums.coming, 0))
    if sums.short > 0 or sums.waiting > 0:
        return shrinking
    for eni in sorted(situation.view.enis, key=lambda eni: eni.packing_order, reverse=True):
        if eni.state is not EniState.READY:
            continue
        if _is_empty(eni) and _may_go(eni, situation, shrinking):
            _release(eni, shrinking, situation.now)
        elif shrinking.surplus > 0 and eni.free:
            _unassign(eni, shrinking)
    return _gated(shrinking, situation)


def _is_empty(eni: EniView) -> bool:
    return not eni.is_permanent and eni.held == 0 and eni.growing == 0 and eni.releasing == 0


def _may_go(eni: EniView, situation: Situation, shrinking: Shrinking) -> bool:
    """Would the pool still meet its targets without this ENI, and without what the plan already gives back?"""
    sums, targets = situation.sums, situation.targets
    not_here = shrinking.given_back + sums.coming
    spare, total = sums.spare - not_here, sums.total - not_here
    freed = len(eni.free)
    if targets.has_ip_targets:
        return spare - freed >= targets.warm_ip and total - freed >= targets.minimum_ip
    margin = targets.warm_eni * sums.slots
    return spare >= margin + sums.slots and spare - freed >= max(margin, 1)


def _release(eni: EniView, shrinking: Shrinking, now: float) -> None:
    old_enough_at = eni.since + MIN_ENI_LIFE_SECONDS
    shrinking.given_back += len(eni.free)
    if old_enough_at > now:
        shrinking.rechecks.append(old_enough_at)
        shrinking.reasons.append(f"{eni.eni_id} is not needed, but younger than {MIN_ENI_LIFE_SECONDS:.0f} s")
    elif not shrinking.releases_eni:
        shrinking.actions.append(ReleaseEni(eni.eni_id, _longest_rested(eni.free, len(eni.free))))
    else:
        shrinking.reasons.append(f"{eni.eni_id} is not needed either: one ENI at a time")


def _unassign(eni: EniView, shrinking: Shrinking) -> None:
    count = min(shrinking.surplus, len(eni.free))
    shrinking.given_back += count
    shrinking.actions.append(UnassignAddresses(eni.eni_id, _longest_rested(eni.free, count)))


def _longest_rested(free: Iterable[FreeAddress], count: int) -> tuple[IPv4Address, ...]:
    # Another node may get the address at once, so the one that the cluster forgot longest ago goes first.
    ordered = sorted(free, key=lambda item: (item.rested_since, int(item.address)))
    return tuple(item.address for item in ordered[:count])


def _gated(shrinking: Shrinking, situation: Situation) -> Shrinking:
    """Drop the releases while something forbids them, and say what."""
    conditions, now = situation.conditions, situation.now
    if not shrinking.actions:
        return shrinking
    next_at = conditions.last_shrink_at + SHRINK_INTERVAL_SECONDS
    if conditions.terminating or conditions.unschedulable or not conditions.provisioning:
        shrinking.reasons.append("surplus is kept: the agent is stopping, the node is cordoned or provisioning is off")
    elif next_at > now:
        shrinking.reasons.append(f"surplus is kept for {next_at - now:.0f} s: the pool shrank a moment ago")
        shrinking.rechecks.append(next_at)
    else:
        return shrinking
    shrinking.actions.clear()
    return shrinking
