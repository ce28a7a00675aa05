"""Records of the journal: what the agent writes down before and after it acts.

Each record says all that is needed to fold it alone, in any place of the stream: a Released record makes its cooldown
even when the ADD before it is lost. That is what lets damage cost one record only, and snapshots be written in
slices while new records arrive.

The order of fields is the format: fields are encoded by position. New ones go last and have a default; a tag is never
given to another record. ``tests/unit/ipam/test_journal_format.py`` holds the bytes of version 1.
"""

import enum
from ipaddress import IPv4Address

import msgspec

from vpc_cni.ipam.states import Quarantine, QuarantineReason
from vpc_cni.model import Allocation, Cooling, PodIdentity, SandboxKey


class Ec2Operation(enum.StrEnum):
    """A change at EC2 that takes more than one step, or cannot simply be repeated."""

    CREATE = "create"
    ATTACH = "attach"
    ASSIGN = "assign"
    UNASSIGN = "unassign"
    DETACH = "detach"
    DELETE = "delete"


class _Record(msgspec.Struct, frozen=True, array_like=True):
    """Base of all records: immutable, encoded by position."""


class _KeyedRecord(_Record, frozen=True):
    network_name: str
    container_id: str
    ifname: str

    @property
    def key(self) -> SandboxKey:
        return SandboxKey(self.network_name, self.container_id, self.ifname)


class AddIntent(_KeyedRecord, frozen=True, tag=1):
    """An ADD is about to be wired: written before the first change in the kernel."""

    namespace: str
    pod_name: str
    pod_uid: str
    address: IPv4Address
    eni_id: str
    device_number: int
    allocated_at_ns: int
    host_ifname: str

    @classmethod
    def of(cls, allocation: Allocation, host_ifname: str) -> "AddIntent":
        key, pod = allocation.key, allocation.pod
        return cls(
            key.network_name,
            key.container_id,
            key.ifname,
            pod.namespace,
            pod.name,
            pod.uid,
            allocation.address,
            allocation.eni_id,
            allocation.device_number,
            allocation.allocated_at_ns,
            host_ifname,
        )

    @property
    def allocation(self) -> Allocation:
        pod = PodIdentity(self.namespace, self.pod_name, self.pod_uid)
        return Allocation(self.key, self.address, self.eni_id, self.device_number, pod, self.allocated_at_ns)


class AddCommitted(_KeyedRecord, frozen=True, tag=2):
    """The pod's network is complete: written before the plugin gets its answer."""

    host_ifindex: int
    host_mac: str
    container_mac: str

    @classmethod
    def of(cls, key: SandboxKey, host_ifindex: int, host_mac: str, container_mac: str) -> "AddCommitted":
        return cls(key.network_name, key.container_id, key.ifname, host_ifindex, host_mac, container_mac)


class AddAbandoned(_KeyedRecord, frozen=True, tag=3):
    """An ADD ended before anything of it reached the kernel: its address needs no cooldown.

    Not written any more: an ADD whose intent was written is undone like any other. Read in journals of before.
    """

    @classmethod
    def of(cls, key: SandboxKey) -> "AddAbandoned":
        return cls(key.network_name, key.container_id, key.ifname)


class Released(_KeyedRecord, frozen=True, tag=4):
    """A DEL, or an ADD that was undone: written before rules and routes go. ``until`` is CLOCK_BOOTTIME seconds."""

    address: IPv4Address
    eni_id: str
    until: float
    link_gone: bool = False

    @classmethod
    def of(cls, cooling: Cooling) -> "Released":
        key = cooling.key
        return cls(
            key.network_name,
            key.container_id,
            key.ifname,
            cooling.address,
            cooling.eni_id,
            cooling.until,
            cooling.link_gone,
        )

    @property
    def cooling(self) -> Cooling:
        return Cooling(self.key, self.address, self.eni_id, self.until, self.link_gone)


class LinkGone(_KeyedRecord, frozen=True, tag=5):
    """The host link of a released sandbox no longer exists."""

    address: IPv4Address

    @classmethod
    def of(cls, key: SandboxKey, address: IPv4Address) -> "LinkGone":
        return cls(key.network_name, key.container_id, key.ifname, address)


class Ec2Intent(_Record, frozen=True, tag=6):
    """EC2 is about to be asked. ``token`` names the step; for CREATE it is also the ClientToken of the call.

    ``eni_id`` is empty for CREATE. ``count`` is for CREATE and ASSIGN, ``addresses`` for UNASSIGN and DETACH,
    ``device_number`` for CREATE and ATTACH (-1 elsewhere), ``attachment_id`` for DETACH.
    """

    token: str
    operation: Ec2Operation
    eni_id: str = ""
    count: int = 0
    addresses: tuple[IPv4Address, ...] = ()
    device_number: int = -1
    subnet_id: str = ""
    attachment_id: str = ""


class Ec2Outcome(_Record, frozen=True, tag=7):
    """EC2 has answered the step ``token``. ``error`` is its code when the step was not done."""

    token: str
    operation: Ec2Operation
    done: bool
    eni_id: str = ""
    addresses: tuple[IPv4Address, ...] = ()
    error: str = ""


class Quarantined(_Record, frozen=True, tag=8):
    """An address is neither handed out nor given back. ``since`` is CLOCK_BOOTTIME seconds."""

    address: IPv4Address
    eni_id: str
    reason: QuarantineReason
    since: float
    detail: str = ""

    @classmethod
    def of(cls, quarantine: Quarantine) -> "Quarantined":
        return cls(quarantine.address, quarantine.eni_id, quarantine.reason, quarantine.since, quarantine.detail)

    @property
    def quarantine(self) -> Quarantine:
        return Quarantine(self.address, self.eni_id, self.reason, self.since, self.detail)


class Resolved(_Record, frozen=True, tag=9):
    """The quarantine of an address is over."""

    address: IPv4Address


class CheckpointWritten(_Record, frozen=True, tag=10):
    """``ipam.json`` was written with this content: a different file at start means that someone else ran."""

    digest: str


Record = (
    AddIntent
    | AddCommitted
    | AddAbandoned
    | Released
    | LinkGone
    | Ec2Intent
    | Ec2Outcome
    | Quarantined
    | Resolved
    | CheckpointWritten
)
