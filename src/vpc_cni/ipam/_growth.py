"""The growing half of the planner: where more addresses come from, and what stands in the way.

One call for each ENI at a time: EC2 carries out the changes of an ENI one after the other, so what a growing ENI could
still hold is asked for when its answer is there, in one call for all that was missed meanwhile. A burst of ADDs, which
come one by one, so costs two calls for each ENI and not one for each ADD.
"""

from dataclasses import dataclass, field

from vpc_cni.errors import Shortage
from vpc_cni.ipam._situation import Situation
from vpc_cni.ipam.plan import SHORTAGE_HINTS, Arithmetic, AssignAddresses, CreateEni, Pause, Shortfall, Targets
from vpc_cni.ipam.states import EniState, EniView, PoolView

# The link of a new ENI comes within seconds; one that takes longer may never come, and nobody's address waits for it.
ATTACH_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What growth failed on, as a label and as a sentence."""

    shortage: Shortage
    reason: str


@dataclass(slots=True)
class Growing:
    """The growth of one plan while it is put together.

    ``allowed`` is what max pods leaves to ask for; ``postponed`` is what growing ENIs will be asked for.
    """

    need: int
    allowed: int
    postponed: int = 0
    actions: list[AssignAddresses | CreateEni] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    rechecks: list[float] = field(default_factory=list)
    shortfall: Shortfall | None = None

    @property
    def wants_more(self) -> bool:
        return self.need > 0 and self.allowed > 0

    @property
    def planned(self) -> int:
        return sum(action.count for action in self.actions)

    @property
    def reasons(self) -> tuple[str, ...]:
        reasons = dict.fromkeys(obstacle.reason for obstacle in self.obstacles)
        if self.postponed:
            reasons[f"{self.postponed} are asked for when the growth under way has ended"] = None
        return tuple(reasons)

    def add(self, action: AssignAddresses | CreateEni) -> None:
        self.actions.append(action)
        self.need -= action.count
        self.allowed -= action.count

    def postpone(self, room: int) -> None:
        """Leave to an ENI that grows already what it will have room for."""
        count = max(min(room, self.need, self.allowed), 0)
        self.postponed += count
        self.need -= count
        self.allowed -= count

    def block(self, shortage: Shortage, reason: str) -> None:
        self.obstacles.append(Obstacle(shortage, reason))

    def pause(self, where: str, pause: Pause, now: float) -> None:
        self.block(pause.shortage, f"no growth {where} for {pause.until - now:.0f} s: {pause.shortage}")
        self.rechecks.append(pause.until)


def plan_growth(situation: Situation) -> Growing:
    """Cover the shortage from ENIs with room, then from ENIs that grow already, then with new ENIs. Pure."""
    sums, targets = situation.sums, situation.targets
    growing = Growing(need=sums.short, allowed=_allowed(sums, targets))
    if growing.need > 0 and not _is_held_back(growing, situation):
        _fill_enis(growing, situation)
        _leave_to_growing(growing, situation)
        _create_enis(growing, situation)
        if growing.need > 0 and growing.allowed <= 0:
            growing.block(Shortage.MAX_PODS, f"bounded by max pods ({targets.max_pods}): {growing.need} not asked for")
    unmet = sums.waiting - sums.available - growing.planned - growing.postponed
    if unmet > 0:
        growing.shortfall = _shortfall(growing, sums, situation.view, unmet)
    return growing


def _allowed(sums: Arithmetic, targets: Targets) -> int:
    """How many addresses max pods leaves to ask for.

    Warm growth stops at ``T`` = max pods. ADDs that wait may pass it by what cools: those addresses serve nobody.
    """
    if targets.max_pods == 0:
        return sums.short + sums.slots
    warm = targets.max_pods - sums.total
    urgent = min(-sums.spare, targets.max_pods - sums.assigned - sums.available)
    return max(warm, urgent, 0)


def _is_held_back(growing: Growing, situation: Situation) -> bool:
    conditions, now = situation.conditions, situation.now
    if conditions.terminating:
        growing.block(Shortage.STOPPING, "no growth: the agent is stopping")
    elif not conditions.provisioning:
        growing.block(Shortage.PROVISIONING_OFF, "no growth: provisioning is switched off")
    elif conditions.unschedulable:
        growing.block(Shortage.PROVISIONING_OFF, "no growth: the node is cordoned")
    elif conditions.growth_pause is not None and conditions.growth_pause.until > now:
        growing.pause("on this node", conditions.growth_pause, now)
    return bool(growing.obstacles)


def _fill_enis(growing: Growing, situation: Situation) -> None:
    for eni in sorted(situation.view.enis, key=lambda eni: eni.packing_order):
        room = situation.sums.slots - eni.slots_used
        if not growing.wants_more or eni.state is not EniState.READY or eni.growing > 0 or room <= 0:
            continue
        if _is_open(eni.subnet_id, growing, situation):
            growing.add(AssignAddresses(eni.eni_id, _request(growing, situation.targets, room)))


def _leave_to_growing(growing: Growing, situation: Situation) -> None:
    """Postpone what fits on ENIs that are created, attached or asked about now: their end leads to another plan."""
    slots = situation.sums.slots
    for growth in situation.view.creating:
        growing.postpone(slots - growth.count)
    for eni in sorted(situation.view.enis, key=lambda eni: eni.packing_order):
        room = slots - eni.slots_used
        if not growing.wants_more or room <= 0 or not _grows(eni, growing, situation.now):
            continue
        if _is_open(eni.subnet_id, growing, situation):
            growing.postpone(room)


def _grows(eni: EniView, growing: Growing, now: float) -> bool:
    if eni.state is EniState.READY:
        return eni.growing > 0
    waits_until = eni.since + ATTACH_PATIENCE_SECONDS
    if eni.state is not EniState.ATTACHING or waits_until <= now:
        return False
    growing.rechecks.append(waits_until)
    return True


def _create_enis(growing: Growing, situation: Situation) -> None:
    sums, subnets = situation.sums, situation.conditions.subnets
    for device_number in _free_device_numbers(situation)[: max(sums.eni_limit - sums.enis, 0)]:
        if not growing.wants_more:
            return
        subnet_id = next((each for each in subnets if _is_open(each, growing, situation)), None)
        if subnet_id is None:
            return
        growing.add(CreateEni(_request(growing, situation.targets, sums.slots), subnet_id, device_number))
    if growing.wants_more:
        growing.block(Shortage.ENI_LIMIT, f"all {sums.eni_limit} ENIs are in use: {growing.need} not asked for")


def _request(growing: Growing, targets: Targets, room: int) -> int:
    """With IP targets just what is needed; else fill the ENI."""
    wanted = growing.need if targets.has_ip_targets else room
    return min(room, wanted, growing.allowed)


def _is_open(subnet_id: str, growing: Growing, situation: Situation) -> bool:
    """Return whether EC2 may be asked for addresses of this subnet now; note the obstacle if not."""
    pause = situation.conditions.subnet_pauses.get(subnet_id)
    if pause is None or pause.until <= situation.now:
        return True
    growing.pause(f"in {subnet_id}", pause, situation.now)
    return False


def _free_device_numbers(situation: Situation) -> list[int]:
    view = situation.view
    used = situation.conditions.used_device_numbers | {eni.device_number for eni in view.enis}
    used |= {growth.device_number for growth in view.creating}
    # 0..99 is EC2's range of device indexes on a network card.
    return [number for number in range(100) if number not in used]


def _shortfall(growing: Growing, sums: Arithmetic, view: PoolView, unmet: int) -> Shortfall:
    # The first obstacle is the one to remove: an ENI limit matters only once the ENIs with room were tried.
    default = Obstacle(Shortage.ENI_LIMIT, f"{sums.eni_limit} ENIs of {sums.slots} addresses are not enough")
    obstacle = next(iter(growing.obstacles), default)
    shortage = obstacle.shortage
    if shortage is not Shortage.STOPPING and sums.cooling >= unmet:
        shortage = Shortage.COOLING
    message = (
        f"no free address for {unmet} waiting pods ({sums.enis}/{sums.eni_limit} ENIs, {sums.assigned} assigned, "
        f"{sums.cooling} cooling, {sums.quarantined} quarantined): {obstacle.reason}"
    )
    times = [at for at in (*growing.rechecks, view.next_ready_at) if at is not None]
    return Shortfall(shortage, unmet, sums.cooling, min(times, default=None), message, SHORTAGE_HINTS.get(shortage, ""))
