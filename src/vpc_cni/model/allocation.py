"""An address in the hands of a sandbox, and an address that one has given back."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from vpc_cni.model.identity import PodIdentity, SandboxKey


@dataclass(frozen=True, slots=True)
class Allocation:
    """An address assigned to a sandbox.

    ``allocated_at_ns`` is wall-clock unix time in nanoseconds, as the reference's checkpoint stores it; it is for
    people and for ``ipam.json``, no decision reads it.
    """

    key: SandboxKey
    address: IPv4Address
    eni_id: str
    device_number: int
    pod: PodIdentity
    allocated_at_ns: int


@dataclass(frozen=True, slots=True)
class Cooling:
    """An address released by ``key``: reusable when ``until`` has passed and its link is confirmed gone.

    ``until`` is CLOCK_BOOTTIME seconds: it survives the process and counts while the machine sleeps.
    """

    key: SandboxKey
    address: IPv4Address
    eni_id: str
    until: float
    link_gone: bool = False
