"""States of addresses and ENIs, and the frozen picture of a pool that the planner reads.

An address that EC2 gives to an ENI of this node is in exactly one state:

    free ──assign──> assigned ──release──> cooling ──cooldown over, link gone──> free
     │                                                                             │
     └──begin_release──> releasing ──EC2 confirms──> (not ours any more)           │
                             └──EC2 refuses──> free  <─────────────────────────────┘

``quarantined`` covers any of them: whatever lies below is kept, so that a DEL still finds its allocation, but
the address is neither handed out nor given back until the quarantine is resolved.
"""

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple


class AddressState(enum.StrEnum):
    """What may be done with an address now; only ``FREE`` ones are handed out."""

    FREE = "free"
    ASSIGNED = "assigned"
    COOLING = "cooling"
    QUARANTINED = "quarantined"
    RELEASING = "releasing"


class EniState(enum.StrEnum):
    """Life of an ENI in the pool.

    ``ATTACHING``: EC2 has given it, its link is not ready; its free addresses count as coming, none is handed out.
    ``READY``: in use. ``DRAINING``: keeps its pods, takes no new ones. ``DETACHING``: its release is under way.
    """

    ATTACHING = "attaching"
    READY = "ready"
    DRAINING = "draining"
    DETACHING = "detaching"


class QuarantineReason(enum.StrEnum):
    """Why an address is neither handed out nor given back.

    ``NOT_IN_EC2``: a pod uses it, EC2 does not list it. ``OTHER_ENI``: a pod uses it through an ENI on which EC2 does
    not list it. ``UNKNOWN_OWNER``: a link serves it for nobody known. ``TWO_OWNERS``: several sandboxes use it.
    ``UNKNOWN_PAST``: a pod may have had it a moment ago; over after one cooldown. ``KERNEL_REFUSED``: rules or routes
    of it could not be removed.
    """

    NOT_IN_EC2 = "NotInEc2"
    OTHER_ENI = "OtherEni"
    UNKNOWN_OWNER = "UnknownOwner"
    TWO_OWNERS = "TwoOwners"
    UNKNOWN_PAST = "UnknownPast"
    KERNEL_REFUSED = "KernelRefused"


@dataclass(frozen=True, slots=True)
class Quarantine:
    """An address on which EC2, the journal and the kernel do not agree.

    ``eni_id`` is empty when no ENI is known to hold the address; ``since`` is CLOCK_BOOTTIME seconds; ``detail``
    is a sentence for people.
    """

    address: IPv4Address
    eni_id: str
    reason: QuarantineReason
    since: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Growth:
    """EC2 has been asked for ``count`` more addresses and has not answered yet.

    ``eni_id`` is empty while the addresses come with a new ENI. ``device_number`` is the place that the new ENI
    will take, -1 for growth of an ENI that is already there.
    """

    token: str
    count: int
    eni_id: str = ""
    device_number: int = -1


class FreeAddress(NamedTuple):
    """A free address; ``rested_since`` is when its last cooldown ended, ``NEVER_USED`` if it never had a pod."""

    rested_since: float
    address: IPv4Address


# Sorts before every CLOCK_BOOTTIME value: an address that never had a pod is the best rested of all.
NEVER_USED = -1.0


@dataclass(frozen=True, slots=True)
class EniView:
    """Counts of one ENI. ``since`` is when this process learnt of it; ``growing`` counts addresses asked for."""

    eni_id: str
    device_number: int
    subnet_id: str
    state: EniState
    since: float
    is_permanent: bool
    assigned: int = 0
    cooling: int = 0
    quarantined: int = 0
    releasing: int = 0
    growing: int = 0
    prefixes: int = 0
    free: tuple[FreeAddress, ...] = ()

    @property
    def held(self) -> int:
        """Addresses that someone has a claim on: they stop this ENI from being released."""
        return self.assigned + self.cooling + self.quarantined

    @property
    def slots_used(self) -> int:
        """Address slots taken at EC2, those asked for included; a prefix takes one slot."""
        return self.held + self.releasing + len(self.free) + self.growing + self.prefixes

    @property
    def packing_order(self) -> tuple[bool, int, int, int]:
        """Sort key: where the next pod should go. Lowest first.

        ENIs that can never be released come first, then the fullest, so that the others empty and can go back.
        """
        return (not self.is_permanent, -self.assigned, -self.cooling, self.device_number)


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool at one moment. ``enis`` are in the order in which they joined; ``creating`` are ENIs asked for."""

    enis: tuple[EniView, ...] = ()
    creating: tuple[Growth, ...] = ()
    next_ready_at: float | None = None


@dataclass(frozen=True, slots=True)
class AddressInfo:
    """One address for status pages. ``owner`` is the sandbox (or the last one, while cooling) as text, or empty.

    ``until`` is CLOCK_BOOTTIME seconds for cooling addresses, else None; ``reason`` explains a quarantine.
    """

    address: IPv4Address
    eni_id: str
    state: AddressState
    owner: str = ""
    until: float | None = None
    reason: str = ""
