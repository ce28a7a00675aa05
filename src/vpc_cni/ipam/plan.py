"""What goes into a pool plan and what comes out of it: frozen types only; ``planner`` computes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from vpc_cni.errors import CapacityError, ConfigurationError, Shortage

# What to do about each reason that a plan can give; docs/pool.md explains them.
SHORTAGE_HINTS: Mapping[Shortage, str] = {
    Shortage.SUBNET_FULL: "free addresses of the subnet, run nodes in another one, or lower the warm targets",
    Shortage.ENI_LIMIT: "use a larger instance type, raise MAX_ENI, or run fewer pods on this node",
    Shortage.MAX_PODS: "the node runs as many pods as it may; raise max pods or add a node",
    Shortage.THROTTLED: "EC2 asked for fewer calls; the agent tries again by itself",
    Shortage.DENIED: "give the node role the permission named in the agent's event",
    Shortage.EC2_FAILED: "look at the last EC2 error in the node status; the agent tries again by itself",
    Shortage.COOLING: "released addresses become usable after IP_COOLDOWN_PERIOD",
    Shortage.PROVISIONING_OFF: "this agent may not change ENIs: see DISABLE_NETWORK_RESOURCE_PROVISIONING and "
    "AWS_MANAGE_ENIS_NON_SCHEDULABLE",
    Shortage.STOPPING: "the agent is restarting; the runtime tries again",
}


@dataclass(frozen=True, slots=True)
class Targets:
    """How large the operator wants the pool to be; the fields carry the meaning of the variables of the same name.

    Args:
        warm_eni: ``WARM_ENI_TARGET``: spare full ENIs; ignored when an IP target is set.
        warm_ip: ``WARM_IP_TARGET``: spare addresses.
        minimum_ip: ``MINIMUM_IP_TARGET``: floor of all addresses.
        max_eni: ``MAX_ENI``; 0 or less means the limit of the instance type.
        max_pods: most pods that the node may run; 0 means unknown, the pool is not bounded by it.
        prefix_delegation: ``ENABLE_PREFIX_DELEGATION``; not built yet, so true is refused.

    Raises:
        ConfigurationError: a negative target, or prefix delegation.
    """

    warm_eni: int = 1
    warm_ip: int = 0
    minimum_ip: int = 0
    max_eni: int = 0
    max_pods: int = 0
    prefix_delegation: bool = False

    def __post_init__(self) -> None:
        if self.prefix_delegation:
            raise ConfigurationError(
                "ENABLE_PREFIX_DELEGATION is not supported yet", hint="set it to false: pods get secondary addresses"
            )
        for name in ("warm_eni", "warm_ip", "minimum_ip", "max_pods"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"target {name} is {getattr(self, name)}", hint="give 0 or more")

    @property
    def has_ip_targets(self) -> bool:
        """True when addresses are counted one by one; false when they come by the ENI."""
        return self.warm_ip > 0 or self.minimum_ip > 0


@dataclass(frozen=True, slots=True)
class Pause:
    """EC2 refused growth: do not ask again before ``until`` (CLOCK_BOOTTIME seconds), for this reason."""

    until: float
    shortage: Shortage


@dataclass(frozen=True, slots=True)
class Conditions:
    """Circumstances of the node that are neither targets nor pool.

    Args:
        subnets: where a new ENI may be created, in order of preference.
        unmanaged_enis: attached ENIs that the pool does not know; they take places.
        used_device_numbers: device numbers of those ENIs.
        provisioning: false when this agent must not change anything at EC2.
        terminating: the agent is stopping.
        unschedulable: the node is cordoned, and ``AWS_MANAGE_ENIS_NON_SCHEDULABLE`` does not overrule it.
        last_shrink_at: CLOCK_BOOTTIME seconds of the last plan with a release.
        growth_pause: no growth anywhere (throttled, denied, EC2 failing).
        subnet_pauses: no growth in these subnets; other subnets are not held up.
    """

    subnets: tuple[str, ...]
    unmanaged_enis: int = 0
    used_device_numbers: frozenset[int] = frozenset()
    provisioning: bool = True
    terminating: bool = False
    unschedulable: bool = False
    last_shrink_at: float = -math.inf
    growth_pause: Pause | None = None
    subnet_pauses: Mapping[str, Pause] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssignAddresses:
    """Ask EC2 for ``count`` more secondary addresses on an attached ENI; at least 1."""

    eni_id: str
    count: int


@dataclass(frozen=True, slots=True)
class CreateEni:
    """Create one ENI with ``count`` secondary addresses (at least 1) in ``subnet_id`` and attach it.

    ``device_number`` is the lowest one that the pool knows to be free: a hint, EC2 has the last word.
    """

    count: int
    subnet_id: str
    device_number: int


@dataclass(frozen=True, slots=True)
class UnassignAddresses:
    """Give free addresses back to EC2; not empty, longest rested first."""

    eni_id: str
    addresses: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class ReleaseEni:
    """Detach and delete an ENI without pods; ``addresses`` are its free ones, which go with it."""

    eni_id: str
    addresses: tuple[IPv4Address, ...]


Action = AssignAddresses | CreateEni | UnassignAddresses | ReleaseEni


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """The sums behind a plan, all in addresses unless named otherwise.

    ``total`` = ``assigned`` + ``cooling`` + ``quarantined`` + ``available``; addresses on their way back to EC2
    (``releasing``) are no longer part of it. ``available`` = ``free`` (usable now) + ``coming`` (on an ENI that is
    being attached, or asked for). ``waiting`` are ADDs without an address. ``short`` and ``over`` are distances to
    the targets after the waiting ADDs are served; at most one of them is above 0. ``eni_limit`` leaves unmanaged
    ENIs out; ``slots`` is what one ENI holds.
    """

    total: int
    assigned: int
    cooling: int
    quarantined: int
    releasing: int
    free: int
    coming: int
    waiting: int
    short: int
    over: int
    enis: int
    eni_limit: int
    slots: int

    @property
    def available(self) -> int:
        """V: what can serve a pod now or soon."""
        return self.free + self.coming

    @property
    def spare(self) -> int:
        """V after the waiting ADDs took theirs; below 0 while they outnumber it."""
        return self.available - self.waiting

    def __str__(self) -> str:
        return (
            f"T={self.total} A={self.assigned} V={self.available} (free {self.free}, coming {self.coming})"
            f" cooling={self.cooling} quarantined={self.quarantined} waiting={self.waiting}"
            f" short={self.short} over={self.over} ENIs={self.enis}/{self.eni_limit}x{self.slots}"
        )


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Waiting ADDs that neither free, coming nor planned addresses will serve.

    Args:
        shortage: the reason that stands in the way; ``COOLING`` when cooldowns alone will serve all of them.
        unmet: how many ADDs; at least 1.
        cooling: addresses that cooldowns will bring, in time.
        retry_at: CLOCK_BOOTTIME seconds when something changes by itself; None when an event is needed.
        message: what is missing and why, for people; ``hint`` says what to do.
    """

    shortage: Shortage
    unmet: int
    cooling: int
    retry_at: float | None
    message: str
    hint: str

    def as_error(self) -> CapacityError:
        """Return the error that an ADD ends with when it cannot wait any longer."""
        return CapacityError(self.message, shortage=self.shortage, hint=self.hint)


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What to do now, and why.

    Args:
        actions: independent of each other; growth first. Empty when the pool is as it should be, or cannot be changed.
        arithmetic: the sums before the actions.
        reasons: sentences for ``node status``, in the order of the decisions.
        shortfall: set when the plan leaves waiting ADDs without an address.
        postponed: addresses that ENIs which grow now are asked for next, when what they were asked for has come.
        recheck_at: CLOCK_BOOTTIME seconds when a new plan may differ although nothing happened; None: never.
    """

    actions: tuple[Action, ...]
    arithmetic: Arithmetic
    reasons: tuple[str, ...] = ()
    shortfall: Shortfall | None = None
    recheck_at: float | None = None
    postponed: int = 0

    @property
    def grows(self) -> bool:
        return any(isinstance(action, AssignAddresses | CreateEni) for action in self.actions)

    @property
    def shrinks(self) -> bool:
        return any(isinstance(action, UnassignAddresses | ReleaseEni) for action in self.actions)
