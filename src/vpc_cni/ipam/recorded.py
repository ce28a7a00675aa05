"""What was written down and what the kernel shows, in the form that ``reconcile`` compares."""

from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from vpc_cni.ipam.checkpoint import Checkpoint, CheckpointEntry
from vpc_cni.ipam.journal_state import JournalledAdd, JournalState
from vpc_cni.ipam.records import Ec2Operation
from vpc_cni.ipam.states import Quarantine
from vpc_cni.model import Allocation, Cooling, SandboxKey, host_veth_name


@dataclass(frozen=True, slots=True)
class KernelLink:
    """A host link that is, or may be, the host end of a pod.

    ``alias`` is empty for links that the reference made. ``address`` is the destination of the link's /32 host route,
    None when it has none.
    """

    ifindex: int
    name: str
    alias: str = ""
    address: IPv4Address | None = None

    @property
    def key(self) -> SandboxKey | None:
        """The sandbox that the alias names; None without an alias, or when it is only a digest."""
        return parse_alias(self.alias)


@dataclass(frozen=True, slots=True)
class KernelView:
    """Pod networking as the kernel has it. ``ruled`` are addresses that a pod rule (512 or 1536) or route names."""

    links: tuple[KernelLink, ...] = ()
    ruled: frozenset[IPv4Address] = frozenset()


@dataclass(frozen=True, slots=True)
class Claim:
    """Someone wrote that a sandbox has an address.

    ``eni_id`` of the allocation is empty when the writer did not note it. ``is_complete`` is false for an ADD that
    was begun and not finished. ``host_ifindex`` is 0 when it was not noted.
    """

    allocation: Allocation
    host_ifname: str
    is_complete: bool = True
    host_ifindex: int = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """All that was written down about addresses.

    ``releasing`` are addresses that EC2 may or may not have taken back, ``given_back`` those that it has. ``is_whole``
    is false when records may be missing: a damaged journal, or none although this node had pods.
    """

    claims: tuple[Claim, ...] = ()
    coolings: tuple[Cooling, ...] = ()
    quarantines: tuple[Quarantine, ...] = ()
    releasing: frozenset[IPv4Address] = frozenset()
    given_back: frozenset[IPv4Address] = frozenset()
    is_whole: bool = True


def recorded_in_journal(state: JournalState, *, is_whole: bool) -> Recorded:
    """Return what a journal says; ``is_whole`` is ``JournalRead.is_intact``. Pure."""
    steps = state.ec2_steps.values()
    takes_back = (Ec2Operation.UNASSIGN, Ec2Operation.DETACH)
    return Recorded(
        claims=tuple(_claim_of_add(add) for add in state.adds.values()),
        coolings=tuple(released.cooling for released in state.coolings.values()),
        quarantines=tuple(record.quarantine for record in state.quarantines.values()),
        releasing=frozenset(each for step in steps if step.operation in takes_back for each in step.addresses),
        given_back=frozenset(state.given_back),
        is_whole=is_whole,
    )


def recorded_in_checkpoint(checkpoint: Checkpoint, veth_prefix: str, journal: Recorded) -> Recorded:
    """Return what counts when another program ran after us: its file for pods, our journal for the rest. Pure.

    Args:
        journal: our own records; its claims are ignored, since the other program has handled ADDs and DELs.
    """
    claims = tuple(_claim_of_entry(entry, veth_prefix) for entry in checkpoint.entries)
    return replace(journal, claims=claims)


def parse_alias(alias: str) -> SandboxKey | None:
    """Read back ``SandboxKey.alias``; None when it is something else or a digest. Pure."""
    parts = alias.split("/")
    return SandboxKey(*parts) if len(parts) == 3 and all(parts) else None


def _claim_of_add(add: JournalledAdd) -> Claim:
    ifindex = add.committed.host_ifindex if add.committed is not None else 0
    return Claim(add.intent.allocation, add.intent.host_ifname, add.committed is not None, ifindex)


def _claim_of_entry(entry: CheckpointEntry, veth_prefix: str) -> Claim:
    allocation = Allocation(entry.key, entry.address, "", -1, entry.pod, entry.allocated_at_ns)
    return Claim(allocation, host_veth_name(veth_prefix, entry.pod, entry.key))
