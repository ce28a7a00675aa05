"""How the workers work: all numbers in one place."""

from dataclasses import dataclass

from vpc_cni.addons.work.backoff import Backoff
from vpc_cni.addons.work.crew import CrewSize

_OPERATIONS = CrewSize(8, 32)
_OPERATIONS_UNREACHABLE = CrewSize(4, 4)
_LOOKS = CrewSize(4, 12)
_LOOKS_UNREACHABLE = CrewSize(2, 2)
_RETRY = Backoff(1.0, 60.0)
_UNREACHABLE_LOOK = Backoff(10.0, 300.0)


@dataclass(frozen=True, slots=True)
class WorkSettings:
    """Times in seconds.

    Attributes:
        operations, operations_unreachable: threads for operations on clusters that were reached last time, and on
            those that were not.
        looks, looks_unreachable: the same for looks at health.
        lease: how long a killed worker's work rests before another one takes it.
        write_margin: what must be left of a lease before a cluster is written to: more than a request may take
            (``cluster.login``), and less than two thirds of ``lease``, since leases are renewed when a third is over.
        poll: how often the store is asked for work that another replica accepted.
        update_deadline: how long a cluster may be unreachable before work on it is given up, and how long a roll-out
            may take once the objects are applied.
        roll_out_look: between two looks at a roll-out.
        look_every: between two looks at the health of a settled add-on.
        degraded_after: how long an add-on is unhealthy before it is DEGRADED: pods come and go with their nodes.
        unreachable_after: how long a cluster is unreachable before an issue says so.
    """

    operations: CrewSize = _OPERATIONS
    operations_unreachable: CrewSize = _OPERATIONS_UNREACHABLE
    looks: CrewSize = _LOOKS
    looks_unreachable: CrewSize = _LOOKS_UNREACHABLE
    lease: float = 30.0
    write_margin: float = 19.0
    poll: float = 0.25
    update_deadline: float = 1200.0
    roll_out_look: float = 1.0
    look_every: float = 30.0
    degraded_after: float = 20.0
    unreachable_after: float = 60.0
    retry: Backoff = _RETRY
    unreachable_look: Backoff = _UNREACHABLE_LOOK
    internal_attempts: int = 5
