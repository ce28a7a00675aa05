"""Pure planning core: the pool, its planner, instance limits, and the codecs of what the agent writes down.

Nothing here does I/O, reads a clock or looks at the environment. The agent owns the effects.
"""

from vpc_cni.ipam.capacity import Capacity, plan_capacity
from vpc_cni.ipam.limits import InstanceLimits, NetworkCard, find_limits, iter_limits
from vpc_cni.ipam.plan import (
    Action,
    Arithmetic,
    AssignAddresses,
    Conditions,
    CreateEni,
    Pause,
    PoolPlan,
    ReleaseEni,
    Shortfall,
    Targets,
    UnassignAddresses,
)
from vpc_cni.ipam.planner import plan_pool, summarize
from vpc_cni.ipam.pool import Pool
from vpc_cni.ipam.states import (
    AddressInfo,
    AddressState,
    EniState,
    EniView,
    FreeAddress,
    Growth,
    PoolView,
    Quarantine,
    QuarantineReason,
)

__all__ = [
    "Action",
    "AddressInfo",
    "AddressState",
    "Arithmetic",
    "AssignAddresses",
    "Capacity",
    "Conditions",
    "CreateEni",
    "EniState",
    "EniView",
    "FreeAddress",
    "Growth",
    "InstanceLimits",
    "NetworkCard",
    "Pause",
    "Pool",
    "PoolPlan",
    "PoolView",
    "Quarantine",
    "QuarantineReason",
    "ReleaseEni",
    "Shortfall",
    "Targets",
    "UnassignAddresses",
    "find_limits",
    "iter_limits",
    "plan_capacity",
    "plan_pool",
    "summarize",
]
