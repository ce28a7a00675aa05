"""What a node will hold: the planner of the agent, run against ideal EC2 until nothing changes any more. Pure.

>>> from vpc_cni.ipam import Targets, find_limits, plan_capacity
>>> plan_capacity(Targets(warm_ip=2, minimum_ip=10), find_limits("m5.large"), pods=12)
Capacity(addresses_per_eni=(9, 5), pods=12, free=2, unserved=0)
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from vpc_cni.ipam.limits import InstanceLimits
from vpc_cni.ipam.plan import Action, AssignAddresses, Conditions, CreateEni, PoolPlan, ReleaseEni, Targets
from vpc_cni.ipam.planner import plan_pool
from vpc_cni.ipam.pool import Pool
from vpc_cni.model import Eni, PodIdentity, SandboxKey

_SUBNET = "subnet-0"
_CIDR = IPv4Network("10.0.0.0/16")


@dataclass(frozen=True, slots=True)
class Capacity:
    """A node at rest: secondary addresses of each ENI in order of device number, and who has them.

    ``unserved`` pods found no address: the limits of the instance type (or ``MAX_ENI``, max pods) are reached.
    """

    addresses_per_eni: tuple[int, ...]
    pods: int
    free: int
    unserved: int


def plan_capacity(targets: Targets, limits: InstanceLimits, pods: int, *, arriving: int = 0) -> Capacity:
    """Return what a fresh node with one empty primary ENI comes to hold after ``pods`` pods were added.

    Args:
        arriving: how many pods are added before the pool is at rest again; 0: all of them together.
    """
    node = IdealNode(targets, limits)
    node.settle()
    waiting = pods
    while waiting > 0:
        batch = min(arriving or waiting, waiting)
        waiting -= batch
        node.add_pods(batch)
    return node.capacity()


class IdealNode:
    """A node whose EC2 answers at once and never refuses; time moves only when ``settle`` is told to wait."""

    def __init__(self, targets: Targets, limits: InstanceLimits) -> None:
        self.pool = Pool(cooldown_seconds=0)
        self.now = 0.0
        self._targets = targets
        self._limits = limits
        self._addresses = _CIDR.hosts()
        self._enis = 0
        self._pods = 0
        self._unserved = 0
        self._last_shrink_at = -1e9
        self._attach(0, 0)

    def plan(self, demand: int = 0) -> PoolPlan:
        """Return the plan of this moment."""
        conditions = Conditions(subnets=(_SUBNET,), last_shrink_at=self._last_shrink_at)
        view = self.pool.view(self.now)
        return plan_pool(view, self._targets, self._limits, demand=demand, conditions=conditions, now=self.now)

    def settle(self, demand: int = 0, *, wait: bool = False) -> None:
        """Carry out plans until one is empty; with ``wait``, also let the time pass that later actions need."""
        while True:
            plan = self.plan(demand)
            for action in plan.actions:
                self._carry_out(action)
            if plan.actions:
                continue
            if not wait or plan.recheck_at is None:
                return
            self.now = plan.recheck_at

    def add_pods(self, count: int) -> None:
        """Let ``count`` pods ask for an address together, then settle."""
        served = sum(self._assign() for _ in range(count))
        self.settle(demand=count - served)
        served += sum(self._assign() for _ in range(count - served))
        self._unserved += count - served
        self.settle()

    def delete_pods(self, count: int) -> None:
        """Delete the ``count`` newest pods, then settle as time passes."""
        for allocation in self.pool.allocations()[::-1][:count]:
            self.pool.release(allocation.key, self.now, link_gone=True)
        self.settle(wait=True)

    def capacity(self) -> Capacity:
        """Return what the node holds now."""
        enis = sorted(self.pool.view(self.now).enis, key=lambda eni: eni.device_number)
        free = sum(len(eni.free) for eni in enis)
        return Capacity(tuple(eni.slots_used for eni in enis), len(self.pool.allocations()), free, self._unserved)

    def _assign(self) -> bool:
        self._pods += 1
        key = SandboxKey("net", f"pod-{self._pods}", "eth0")
        return self.pool.assign(key, PodIdentity(), self.now, allocated_at_ns=0) is not None

    def _carry_out(self, action: Action) -> None:
        if isinstance(action, AssignAddresses):
            self.pool.add_addresses(action.eni_id, self._take(action.count), self.now)
        elif isinstance(action, CreateEni):
            self._attach(action.device_number, action.count)
        else:
            self._last_shrink_at = self.now
            if isinstance(action, ReleaseEni):
                self.pool.remove_eni(action.eni_id, self.now)
            else:
                self.pool.remove_addresses(action.addresses, self.now)

    def _attach(self, device_number: int, count: int) -> None:
        self._enis += 1
        primary = next(self._addresses)
        eni_id, mac = f"eni-{self._enis}", f"02:00:00:00:00:{device_number:02x}"
        self.pool.add_eni(Eni(eni_id, mac, device_number, _SUBNET, _CIDR, primary, self._take(count)), self.now)

    def _take(self, count: int) -> tuple[IPv4Address, ...]:
        return tuple(next(self._addresses) for _ in range(count))
