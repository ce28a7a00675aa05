"""What both halves of the planner look at."""

from dataclasses import dataclass

from vpc_cni.ipam.plan import Arithmetic, Conditions, Targets
from vpc_cni.ipam.states import PoolView


@dataclass(frozen=True, slots=True)
class Situation:
    """A pool, its sums, and all that bears on the decision; ``now`` is CLOCK_BOOTTIME seconds."""

    view: PoolView
    sums: Arithmetic
    targets: Targets
    conditions: Conditions
    now: float
