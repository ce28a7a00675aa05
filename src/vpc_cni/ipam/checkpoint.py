"""Codec of the reference's ``ipam.json``: written so that it can take the node over, read when it ran before us.

Source: amazon-vpc-cni-k8s pkg/ipamd/datastore, checkpoint version ``vpc-cni-ipam/1``. The file names neither ENI nor
device number: EC2 knows those. Fields that it does not know are ignored, as the reference does.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

import msgspec

from vpc_cni.errors import HostError
from vpc_cni.model import Allocation, PodIdentity, SandboxKey

CHECKPOINT_VERSION = "vpc-cni-ipam/1"


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """One address of one sandbox, as the file has it. ``allocated_at_ns`` is unix time, 0 when the file has none."""

    key: SandboxKey
    address: IPv4Address
    pod: PodIdentity
    allocated_at_ns: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The readable entries in the order of the file, and a sentence for each that was left out."""

    entries: tuple[CheckpointEntry, ...]
    problems: tuple[str, ...] = ()


class _Metadata(msgspec.Struct, omit_defaults=True):
    namespace: str = msgspec.field(default="", name="k8sPodNamespace")
    pod_name: str = msgspec.field(default="", name="k8sPodName")


class _Entry(msgspec.Struct, omit_defaults=True):
    # Fields equal to their default are left out; None marks those that the reference always writes: ours never are.
    network_name: str = msgspec.field(name="networkName")
    container_id: str = msgspec.field(name="containerID")
    ifname: str = msgspec.field(name="ifName")
    ipv4: str = ""
    ipv6: str = ""
    allocated_at_ns: int | None = msgspec.field(default=None, name="allocationTimestamp")
    metadata: _Metadata | None = None


class _File(msgspec.Struct):
    version: str
    allocations: list[msgspec.Raw] | None = None


class _Version(msgspec.Struct):
    version: str = ""


_ENCODER = msgspec.json.Encoder()


def encode_checkpoint(allocations: Iterable[Allocation]) -> bytes:
    """Return the content of ``ipam.json`` for ``allocations``, in their order.

    Pure. The reference ends its file with a newline and reads no further than the object: without one, the bytes
    tell who wrote last, also where both would write the same, as on a node with one pod or none.
    """
    entries = b",".join(_ENCODER.encode(_wire_entry(allocation)) for allocation in allocations)
    return b'{"version":"%s","allocations":[%s]}' % (CHECKPOINT_VERSION.encode(), entries)


def digest(content: bytes) -> str:
    """Return what the journal remembers of a checkpoint: a hex SHA-256."""
    return hashlib.sha256(content).hexdigest()


def decode_checkpoint(content: bytes) -> Checkpoint:
    """Read the content of an ``ipam.json``.

    One bad entry does not lose the others: it is left out and described. An entry with an IPv6 address only is bad,
    since this agent has no IPv6 pods yet.

    Raises:
        HostError: not JSON, not an object of this schema, or another version of it.
    """
    try:
        version = msgspec.json.decode(content, type=_Version).version
        if version != CHECKPOINT_VERSION:
            raise HostError(
                f"the checkpoint has version {version!r}, this agent reads {CHECKPOINT_VERSION!r}",
                hint="roll back to the program that wrote it, or drain this node; its pods keep their addresses",
            )
        raw_entries = msgspec.json.decode(content, type=_File).allocations or []
    except (msgspec.MsgspecError, UnicodeDecodeError) as err:
        raise HostError(
            f"the checkpoint is not readable: {err}",
            hint="drain this node; its pods keep their addresses",
        ) from err
    return _collect(raw_entries)


def _collect(raw_entries: list[msgspec.Raw]) -> Checkpoint:
    entries: list[CheckpointEntry] = []
    problems: list[str] = []
    for position, raw in enumerate(raw_entries):
        try:
            entries.append(_read_entry(msgspec.json.decode(raw, type=_Entry)))
        except (msgspec.MsgspecError, UnicodeDecodeError, AddressValueError) as err:
            problems.append(f"allocation {position} is left out: {err}")
    return Checkpoint(tuple(entries), tuple(problems))


def _read_entry(entry: _Entry) -> CheckpointEntry:
    if not entry.ipv4:
        raise AddressValueError(f"no IPv4 address (IPv6: {entry.ipv6 or 'none'})")
    metadata = entry.metadata or _Metadata()
    return CheckpointEntry(
        key=SandboxKey(entry.network_name, entry.container_id, entry.ifname),
        address=IPv4Address(entry.ipv4),
        pod=PodIdentity(metadata.namespace, metadata.pod_name),
        allocated_at_ns=entry.allocated_at_ns or 0,
    )


def _wire_entry(allocation: Allocation) -> _Entry:
    key, pod = allocation.key, allocation.pod
    return _Entry(
        network_name=key.network_name,
        container_id=key.container_id,
        ifname=key.ifname,
        ipv4=str(allocation.address),
        allocated_at_ns=allocation.allocated_at_ns,
        metadata=_Metadata(pod.namespace, pod.name),
    )
