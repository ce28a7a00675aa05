"""The ledger: every change of who has which address, in the pool and in the journal at once.

Nobody else changes allocations. The order is always: decide (pool), write down (journal), act (kernel or EC2); a
successor that finds a record without its act repeats or undoes the act.
"""

import uuid
from collections.abc import Callable
from ipaddress import IPv4Address

from vpc_cni.agent.journal_file import JournalFile
from vpc_cni.agent.steps import Reach, Step
from vpc_cni.ipam import Pool, QuarantineReason
from vpc_cni.ipam.pool import REMOVAL_MEMORY_SECONDS
from vpc_cni.ipam.records import (
    AddCommitted,
    AddIntent,
    Ec2Intent,
    Ec2Operation,
    Ec2Outcome,
    LinkGone,
    Quarantined,
    Record,
    Released,
    Resolved,
)
from vpc_cni.model import Allocation, Cooling, PodIdentity, SandboxKey
from vpc_cni.netlink.pod import WiredPod

_UNANSWERED = "AnswerLost"


class Ledger:
    """Pool and journal of one node.

    Args:
        on_change: called after each change of an allocation, for the checkpoint in the reference's format.
    """

    def __init__(self, pool: Pool, journal: JournalFile, *, reach: Reach, on_change: Callable[[], None]) -> None:
        self.pool = pool
        self._journal = journal
        self._reach = reach
        self._on_change = on_change
        self._assigned_at: dict[SandboxKey, float] = {}
        self._unanswered: dict[str, float] = {}
        self._given_back_since: dict[IPv4Address, float] = {}

    def assign(
        self, key: SandboxKey, pod: PodIdentity, host_ifname: str, now: float, wall_ns: int
    ) -> Allocation | None:
        """Give ``key`` an address and write the intent; None when no address is free now."""
        allocation = self.pool.assign(key, pod, now, allocated_at_ns=wall_ns)
        if allocation is None:
            return None
        self._reach(Step.ADD_ASSIGNED)
        try:
            self.note(AddIntent.of(allocation, host_ifname))
        except BaseException:
            self.pool.abandon(key)
            raise
        self._assigned_at[key] = now
        self._reach(Step.ADD_INTENT_WRITTEN)
        return allocation

    def commit(self, allocation: Allocation, wired: WiredPod) -> None:
        """Record that the sandbox's network is complete."""
        self.note(AddCommitted.of(allocation.key, wired.ifindex, wired.host_mac, wired.container_mac))
        self._reach(Step.ADD_COMMIT_WRITTEN)
        self._on_change()

    def release(self, key: SandboxKey, now: float) -> Cooling | None:
        """End an allocation and start its cooldown; None when there is none."""
        cooling = self.pool.cooling_after(key, now)
        if cooling is None:
            return None
        # Written first: a DEL that could not be written fails, and the runtime's next try finds the pod as it was.
        self.note(Released.of(cooling))
        self.pool.release(key, now)
        self._assigned_at.pop(key, None)
        self._on_change()
        return cooling

    def link_gone(self, key: SandboxKey) -> None:
        """Record that the host link of a released sandbox no longer exists."""
        for address in self.pool.confirm_link_gone(key):
            self.note(LinkGone.of(key, address))

    def quarantine(self, address: IPv4Address, reason: QuarantineReason, now: float, detail: str) -> None:
        """Keep an address out of use, and remember it across a restart."""
        self.note(Quarantined.of(self.pool.quarantine(address, reason, now, detail)))

    def resolve(self, address: IPv4Address) -> None:
        """Lift a quarantine."""
        self.pool.resolve(address)
        self.note(Resolved(address))

    def wired(self, key: SandboxKey) -> AddCommitted | None:
        """Return what the commit of ``key`` recorded; None when its ADD never completed."""
        add = self._journal.state.adds.get(key)
        return add.committed if add is not None else None

    def assigned_at(self, key: SandboxKey) -> float | None:
        """Return when this run gave ``key`` its address, CLOCK_BOOTTIME seconds; None when it did not."""
        return self._assigned_at.get(key)

    # -- EC2 ------------------------------------------------------------------------------------------------------

    def intend(self, operation: Ec2Operation, *, token: str = "", **details: object) -> str:
        """Write that EC2 is about to be asked; return the token of the step."""
        token = token or uuid.uuid4().hex
        self.note(Ec2Intent(token, operation, **details))  # type: ignore[arg-type]  # checked by the struct's users
        return token

    def conclude(
        self, token: str, operation: Ec2Operation, *, eni_id: str, addresses: tuple[IPv4Address, ...] = ()
    ) -> None:
        """Write that EC2 has done the step."""
        self.note(Ec2Outcome(token, operation, done=True, eni_id=eni_id, addresses=addresses))

    def fail(self, token: str, operation: Ec2Operation, *, eni_id: str, error: str) -> None:
        """Write that EC2 has refused the step: nothing of it needs to be looked for."""
        self.note(Ec2Outcome(token, operation, done=False, eni_id=eni_id, error=error))

    def remember_unanswered(self, token: str, now: float) -> None:
        """Leave a step open whose answer was lost: the next look at EC2 shows what was done."""
        self._unanswered[token] = now

    def close_unanswered(self, asked_at: float) -> None:
        """Close the steps whose answer was lost before EC2 was asked what there is; what they did is known by now."""
        for token in [token for token, lost_at in self._unanswered.items() if lost_at < asked_at]:
            step = self._journal.state.ec2_steps.get(token)
            if step is not None:
                self.fail(token, step.operation, eni_id=step.eni_id, error=_UNANSWERED)
            del self._unanswered[token]

    def found_attached(self, eni_id: str) -> None:
        """Write that an ENI is attached after all, though the step that attached it left no outcome."""
        self.note(Ec2Outcome("", Ec2Operation.ATTACH, done=True, eni_id=eni_id))

    def found_deleted(self, eni_id: str) -> None:
        """Write that an ENI does not exist any more, whoever deleted it."""
        self.note(Ec2Outcome("", Ec2Operation.DELETE, done=True, eni_id=eni_id))

    def open_steps(self) -> tuple[Ec2Intent, ...]:
        """Return the steps without an outcome, oldest first."""
        return tuple(self._journal.state.ec2_steps.values())

    def loose_enis(self) -> tuple[str, ...]:
        """Return the ENIs that, as far as is written, this node made or detached and neither attached nor deleted."""
        return tuple(self._journal.state.loose_enis)

    def forget_ended(self, now: float) -> None:
        """Drop what is over from the journal, so that it stays as small as the node. Call it from time to time.

        Addresses that EC2 took back are in question for as long as the pool remembers a removal, and for that long
        after a restart: descriptions of EC2 are not older.
        """
        given_back, since = self._journal.state.given_back, self._given_back_since
        self._given_back_since = {address: since.get(address, now) for address in given_back}
        moment = now - REMOVAL_MEMORY_SECONDS
        settled = [
            address
            for address, seen_at in self._given_back_since.items()
            if seen_at <= moment and not self.pool.was_removed_since(address, moment)
        ]
        self._journal.forget(now, settled)

    def note(self, record: Record) -> None:
        """Append a record.

        Raises:
            HostError: the journal cannot be written.
        """
        self._journal.append(record)
