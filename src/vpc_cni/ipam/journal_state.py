"""What a journal adds up to, and its compaction.

``JournalState`` folds records one by one; the agent applies each record that it appends, so the state of the file is
always at hand and a snapshot needs no reading.

Compaction in slices: the agent opens a new file, asks ``Compaction`` for one slice after the other, and meanwhile
appends every new record to both files. Since each record says all that is needed (``records``), a slice may describe
something that a newer record in the same file already describes: folding both gives the newer state.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import islice
from typing import Any

import msgspec

from vpc_cni.ipam.journal import encode_header, encode_records
from vpc_cni.ipam.records import (
    AddAbandoned,
    AddCommitted,
    AddIntent,
    CheckpointWritten,
    Ec2Intent,
    Ec2Operation,
    Ec2Outcome,
    LinkGone,
    Quarantined,
    Record,
    Released,
    Resolved,
)
from vpc_cni.model import SandboxKey

# A journal below this size is never worth rewriting; above it, four times its compact size is.
MIN_COMPACTION_BYTES = 128 * 1024
_TYPICAL_RECORD_BYTES = 160
# More than any node gives back within the time that EC2's answers lag.
GIVEN_BACK_REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class JournalledAdd:
    """An ADD in the journal; ``committed`` is None until its network was complete."""

    intent: AddIntent
    committed: AddCommitted | None = None


@dataclass(slots=True)
class JournalState:
    """All that the records so far amount to.

    An address is in ``adds`` or in ``coolings`` or in neither: the newest record about it counts, so that a lost record
    leaves no second owner behind. ``coolings`` holds Released records by address, with ``link_gone`` as far as known;
    ended ones stay until the address is used again or ``forget_coolings`` is called. ``ec2_steps`` are intents without
    an outcome, by token. ``loose_enis`` are ENIs that this node created or detached and that are neither attached nor
    deleted, with the token of that step. ``given_back`` are addresses that EC2 took back and has not given again, with
    the ENI that had them: after a restart a late answer of EC2 may still list them. Whoever knows that no answer can
    be so late any more calls ``forget_given_back``.
    """

    adds: dict[SandboxKey, JournalledAdd] = field(default_factory=dict)
    coolings: dict[IPv4Address, Released] = field(default_factory=dict)
    ec2_steps: dict[str, Ec2Intent] = field(default_factory=dict)
    loose_enis: dict[str, str] = field(default_factory=dict)
    quarantines: dict[IPv4Address, Quarantined] = field(default_factory=dict)
    given_back: dict[IPv4Address, str] = field(default_factory=dict)
    checkpoint_digest: str = ""
    previous_checkpoint_digest: str = ""
    _holders: dict[IPv4Address, SandboxKey] = field(default_factory=dict, compare=False, repr=False)

    def wrote_checkpoint(self, digest: str) -> bool:
        """Whether a checkpoint with this digest is ours: the digest is recorded before the file is replaced."""
        return digest in (self.checkpoint_digest, self.previous_checkpoint_digest)

    def apply(self, record: Record) -> None:
        """Take one record in. Cost does not depend on how much the state holds."""
        _APPLY[type(record)](self, record)

    def forget_coolings(self, now: float) -> None:
        """Drop the cooldowns that are over at ``now``, link gone included: a restart would pay them no attention."""
        over = [each.address for each in self.coolings.values() if each.link_gone and each.until <= now]
        for address in over:
            del self.coolings[address]

    def forget_given_back(self, addresses: Iterable[IPv4Address]) -> None:
        """Drop addresses that EC2 took back so long ago that its answers show it."""
        for address in addresses:
            self.given_back.pop(address, None)

    def __len__(self) -> int:
        """Number of facts that a compact journal would hold."""
        parts = (self.adds, self.coolings, self.ec2_steps, self.loose_enis, self.quarantines, self.given_back)
        return sum(len(part) for part in parts)


def fold(records: Iterator[Record] | tuple[Record, ...]) -> JournalState:
    """Return the state that ``records`` add up to."""
    state = JournalState()
    for record in records:
        state.apply(record)
    return state


def is_worth_compacting(size_bytes: int, state: JournalState) -> bool:
    """Return whether a journal file of this size holds mostly what is over. O(1)."""
    return size_bytes > max(MIN_COMPACTION_BYTES, 4 * _TYPICAL_RECORD_BYTES * 2 * len(state))


def compact(state: JournalState, boot_id: str, now: float) -> bytes:
    """Return a whole journal that adds up to ``state``, without the cooldowns that are over at ``now``."""
    compaction = Compaction(state, boot_id, now)
    return b"".join(iter(compaction.next_slice, b""))


class Compaction:
    """A snapshot in the making; see the module's theory of operation.

    Args:
        state: the live state: it may go on changing between slices.
        now: CLOCK_BOOTTIME seconds; cooldowns that are over (link gone included) are left out.
    """

    def __init__(self, state: JournalState, boot_id: str, now: float) -> None:
        self._state = state
        self._now = now
        self._pending = encode_header(boot_id)
        self._facts = self._iter_facts(
            tuple(state.adds),
            tuple(state.coolings),
            (*state.loose_enis, *state.ec2_steps),
            tuple(state.quarantines),
            tuple(state.given_back),
        )

    def next_slice(self, facts: int = 64) -> bytes:
        """Return the next bytes to append, describing at most ``facts`` facts; empty when the snapshot is complete."""
        head, self._pending = self._pending, b""
        groups = list(islice(self._facts, facts))
        # Facts that went away meanwhile give no bytes: go on, since an empty answer means "complete".
        while groups and not head and not any(groups):
            groups = list(islice(self._facts, facts))
        return head + b"".join(encode_records(group) for group in groups)

    def _iter_facts(
        self,
        keys: tuple[SandboxKey, ...],
        cooling: tuple[IPv4Address, ...],
        ec2: tuple[str, ...],
        quarantined: tuple[IPv4Address, ...],
        given_back: tuple[IPv4Address, ...],
    ) -> Iterator[tuple[Record, ...]]:
        """Describe what there was at the start, each fact as it is when its turn comes."""
        digests = (self._state.previous_checkpoint_digest, self._state.checkpoint_digest)
        yield tuple(CheckpointWritten(digest) for digest in digests)
        yield from (self._describe_add(key) for key in keys)
        yield from (self._describe_cooling(address) for address in cooling)
        yield from (self._describe_ec2(name) for name in ec2)
        for address in quarantined:
            record = self._state.quarantines.get(address)
            yield (record,) if record is not None else ()
        yield from (self._describe_given_back(address) for address in given_back)

    def _describe_add(self, key: SandboxKey) -> tuple[Record, ...]:
        add = self._state.adds.get(key)
        if add is None:
            return ()
        commit = () if add.committed is None else (add.committed,)
        # An intent says that the address is here; EC2 may have taken it back since.
        return (add.intent, *commit, *self._describe_given_back(add.intent.address))

    def _describe_cooling(self, address: IPv4Address) -> tuple[Record, ...]:
        released = self._state.coolings.get(address)
        is_over = released is None or (released.link_gone and released.until <= self._now)
        return () if released is None or is_over else (released,)

    def _describe_given_back(self, address: IPv4Address) -> tuple[Record, ...]:
        eni_id = self._state.given_back.get(address)
        return () if eni_id is None else (taken_back(eni_id, address),)

    def _describe_ec2(self, name: str) -> tuple[Record, ...]:
        """Describe a pending step (``name`` is its token) or a loose ENI (``name`` is its id)."""
        token = self._state.loose_enis.get(name)
        loose = () if token is None else (Ec2Outcome(token, Ec2Operation.CREATE, done=True, eni_id=name),)
        # The outcome would end a creation that is tried under the same token: that one comes behind it.
        pending = self._state.ec2_steps.get(name if token is None else token)
        return loose if pending is None else (*loose, pending)


def taken_back(eni_id: str, address: IPv4Address) -> Ec2Outcome:
    """Return the record that EC2 has taken an address back."""
    return Ec2Outcome("", Ec2Operation.UNASSIGN, done=True, eni_id=eni_id, addresses=(address,))


def _apply_intent(state: JournalState, record: AddIntent) -> None:
    _drop_add(state, record.key)
    _drop_address(state, record.address)
    state.adds[record.key] = JournalledAdd(record)
    state._holders[record.address] = record.key
    state.given_back.pop(record.address, None)


def _apply_committed(state: JournalState, record: AddCommitted) -> None:
    add = state.adds.get(record.key)
    if add is not None:
        state.adds[record.key] = JournalledAdd(add.intent, record)


def _apply_abandoned(state: JournalState, record: AddAbandoned) -> None:
    _drop_add(state, record.key)


def _apply_released(state: JournalState, record: Released) -> None:
    # By address, not by key: a key that was added again holds another address, and that ADD is not what ended.
    _drop_address(state, record.address)
    state.coolings[record.address] = record


def _drop_add(state: JournalState, key: SandboxKey) -> None:
    add = state.adds.pop(key, None)
    if add is not None:
        del state._holders[add.intent.address]


def _drop_address(state: JournalState, address: IPv4Address) -> None:
    state.coolings.pop(address, None)
    holder = state._holders.get(address)
    if holder is not None:
        _drop_add(state, holder)


def _apply_link_gone(state: JournalState, record: LinkGone) -> None:
    released = state.coolings.get(record.address)
    if released is not None and released.key == record.key:
        state.coolings[record.address] = msgspec.structs.replace(released, link_gone=True)


def _apply_ec2_intent(state: JournalState, record: Ec2Intent) -> None:
    state.ec2_steps[record.token] = record


def _apply_ec2_outcome(state: JournalState, record: Ec2Outcome) -> None:
    pending = state.ec2_steps.get(record.token)
    if pending is not None and pending.operation is record.operation:
        del state.ec2_steps[record.token]
    if not record.done:
        return
    if record.operation in (Ec2Operation.CREATE, Ec2Operation.DETACH):
        state.loose_enis[record.eni_id] = record.token
    elif record.operation in (Ec2Operation.ATTACH, Ec2Operation.DELETE):
        state.loose_enis.pop(record.eni_id, None)
    if record.operation is Ec2Operation.UNASSIGN:
        _remember_given_back(state, record)
    elif record.operation is Ec2Operation.ASSIGN:
        for address in record.addresses:
            state.given_back.pop(address, None)


def _remember_given_back(state: JournalState, record: Ec2Outcome) -> None:
    state.given_back.update((address, record.eni_id) for address in record.addresses)
    while len(state.given_back) > GIVEN_BACK_REMEMBERED:
        del state.given_back[next(iter(state.given_back))]


def _apply_quarantined(state: JournalState, record: Quarantined) -> None:
    state.quarantines[record.address] = record


def _apply_resolved(state: JournalState, record: Resolved) -> None:
    state.quarantines.pop(record.address, None)


def _apply_checkpoint(state: JournalState, record: CheckpointWritten) -> None:
    state.previous_checkpoint_digest = state.checkpoint_digest
    state.checkpoint_digest = record.digest


_APPLY: dict[type, Callable[[JournalState, Any], None]] = {
    AddIntent: _apply_intent,
    AddCommitted: _apply_committed,
    AddAbandoned: _apply_abandoned,
    Released: _apply_released,
    LinkGone: _apply_link_gone,
    Ec2Intent: _apply_ec2_intent,
    Ec2Outcome: _apply_ec2_outcome,
    Quarantined: _apply_quarantined,
    Resolved: _apply_resolved,
    CheckpointWritten: _apply_checkpoint,
}
