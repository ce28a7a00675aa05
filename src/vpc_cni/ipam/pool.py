"""The pool: the one owner of every pod address of a node.

Theory of operation. EC2 gives addresses to ENIs (``add_eni``, ``add_addresses``); an ADD takes one (``assign``), a DEL
gives it back (``release``). A released address is handed out again only when its cooldown has passed **and** its
host link is confirmed gone (``confirm_link_gone``). Addresses go back to EC2 in two phases (``begin_release``, then
``remove_addresses`` or ``cancel_release``), so that no pod gets an address while EC2 is being asked to take it.

Nothing here reads a clock: ``now`` is CLOCK_BOOTTIME seconds and may repeat, but must not go back. Nothing here does
I/O: the agent writes the journal before it acts. One thread owns a pool.

Choice of address. First the ENI: those that can never be released (primary, trunk, EFA), then the fullest, then the
lowest device number, so that the other ENIs empty and can be given back. Then the address: never used before, else
the one whose cooldown ended longest ago, so that the rest of the cluster has the longest time to forget its last pod.
"""

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address

from vpc_cni.errors import InternalError
from vpc_cni.ipam._slots import RELEASING, EniSlot, Entry, Holder, Releasing
from vpc_cni.ipam.states import (
    AddressInfo,
    AddressState,
    EniState,
    Growth,
    PoolView,
    Quarantine,
    QuarantineReason,
)
from vpc_cni.model import Allocation, Cooling, Eni, PodIdentity, SandboxKey

# How long a removal is remembered, so that a late answer of EC2 does not bring the address back.
REMOVAL_MEMORY_SECONDS = 120.0


class Pool:
    """Addresses, allocations and cooldowns of one node.

    Args:
        cooldown_seconds: how long a released address rests; 0 means: until its link is gone.
    """

    def __init__(self, cooldown_seconds: float) -> None:
        self._cooldown_seconds = cooldown_seconds
        self._slots: dict[str, EniSlot] = {}
        self._entries: dict[IPv4Address, Entry] = {}
        self._by_key: dict[SandboxKey, Allocation] = {}
        self._links_awaited: dict[SandboxKey, set[IPv4Address]] = {}
        # Cooldowns whose link is gone: (until, number, address). Items may be stale; Entry.ready_at() is the truth.
        self._cooldowns: list[tuple[float, int, IPv4Address]] = []
        self._growths: dict[str, Growth] = {}
        self._removed_at: dict[IPv4Address | str, float] = {}

    # -- ADD and DEL ----------------------------------------------------------------------------------------------

    def assign(self, key: SandboxKey, pod: PodIdentity, now: float, *, allocated_at_ns: int) -> Allocation | None:
        """Give ``key`` an address; the same key gets the same answer. O(log n).

        Returns:
            None when no address is free now: ``next_ready_at`` and ``plan_pool`` say when and why.
        """
        held = self._by_key.get(key)
        if held is not None:
            return held
        self._settle(now)
        slot = self._best_slot()
        address = slot.best_rested() if slot is not None else None
        if slot is None or address is None:
            return None
        eni = slot.eni
        allocation = Allocation(key, address, eni.eni_id, eni.device_number, pod, allocated_at_ns)
        self._by_key[key] = allocation
        self._put(self._entries[address], allocation)
        return allocation

    def release(self, key: SandboxKey, now: float, *, link_gone: bool = False) -> Cooling | None:
        """Take the address of ``key`` back and start its cooldown. O(log n).

        Args:
            now: when the pod's network ended; for a DEL that was recorded earlier, the recorded time.
            link_gone: the host link is known not to exist (any more).

        Returns:
            None when the key holds nothing: a repeated or late DEL, which is a success.
        """
        cooling = self.cooling_after(key, now, link_gone=link_gone)
        if cooling is not None:
            del self._by_key[key]
            self._put(self._entries[cooling.address], cooling)
        return cooling

    def cooling_after(self, key: SandboxKey, now: float, *, link_gone: bool = False) -> Cooling | None:
        """Return what ``release`` would make, without making it: so that it can be written down first."""
        allocation = self._by_key.get(key)
        if allocation is None:
            return None
        return Cooling(key, allocation.address, allocation.eni_id, now + self._cooldown_seconds, link_gone)

    def awaiting_link(self, key: SandboxKey) -> tuple[IPv4Address, ...]:
        """Return the addresses that ``key`` has released and whose link is not confirmed gone, ascending."""
        return tuple(sorted(self._links_awaited.get(key, ())))

    def abandon(self, key: SandboxKey) -> bool:
        """Undo ``assign`` for a key whose address no packet has ever seen: no cooldown. O(log n).

        Returns:
            False when the key holds nothing.
        """
        allocation = self._by_key.pop(key, None)
        if allocation is None:
            return False
        self._put(self._entries[allocation.address], None)
        return True

    def confirm_link_gone(self, key: SandboxKey, address: IPv4Address | None = None) -> tuple[IPv4Address, ...]:
        """Record that the host link of a released sandbox no longer exists.

        Args:
            address: only this one; a key that was added again may have released several.

        Returns:
            The addresses that waited for it, ascending; empty when none did.
        """
        waiting = self._links_awaited.get(key, set())
        confirmed = sorted(waiting if address is None else waiting & {address})
        for each in confirmed:
            entry = self._entries[each]
            if isinstance(entry.holder, Cooling):
                self._put(entry, replace(entry.holder, link_gone=True))
        return tuple(confirmed)

    def next_ready_at(self, now: float) -> float | None:
        """Return when the next cooling address becomes usable; None when none will without another event.

        Addresses whose link is still there have no time: ``confirm_link_gone`` is the event to wait for. The answer
        may be ``now`` or earlier only if an address is free already.
        """
        self._settle(now)
        while self._cooldowns and not self._is_current(self._cooldowns[0]):
            heapq.heappop(self._cooldowns)
        # Almost always the first item; a scan is needed only while an ENI drains.
        usable = (until for until, _, address in self._cooldowns[:1] if self._is_usable(address))
        first = next(usable, None)
        return first if first is not None else self._next_usable()

    # -- What there is --------------------------------------------------------------------------------------------

    def get(self, key: SandboxKey) -> Allocation | None:
        """Return what ``key`` holds."""
        return self._by_key.get(key)

    def owner(self, address: IPv4Address) -> Allocation | None:
        """Return the allocation of ``address``."""
        entry = self._entries.get(address)
        return entry.holder if entry is not None and isinstance(entry.holder, Allocation) else None

    def state(self, address: IPv4Address) -> AddressState | None:
        """Return the state of ``address``; None when the pool does not know it."""
        entry = self._entries.get(address)
        return entry.state if entry is not None else None

    def allocations(self) -> tuple[Allocation, ...]:
        """Return all allocations in the order in which they were made; O(n)."""
        return tuple(self._by_key.values())

    def coolings(self) -> tuple[Cooling, ...]:
        """Return all cooldowns, ended ones that still wait for their link included; O(n)."""
        return tuple(entry.holder for entry in self._entries.values() if isinstance(entry.holder, Cooling))

    def quarantines(self) -> tuple[Quarantine, ...]:
        """Return all quarantines; O(n)."""
        return tuple(entry.quarantine for entry in self._entries.values() if entry.quarantine is not None)

    def enis(self) -> tuple[Eni, ...]:
        """Return the ENIs as they were given, in the order in which they joined."""
        return tuple(slot.eni for slot in self._slots.values())

    def eni(self, eni_id: str) -> Eni | None:
        """Return the ENI as it was given."""
        slot = self._slots.get(eni_id)
        return slot.eni if slot is not None else None

    def eni_state(self, eni_id: str) -> EniState | None:
        """Return the state of the ENI; None when the pool does not know it."""
        slot = self._slots.get(eni_id)
        return slot.state if slot is not None else None

    def eni_ids(self) -> tuple[str, ...]:
        """Return the ids of all ENIs in the order in which they joined."""
        return tuple(self._slots)

    def known_since(self, eni_id: str) -> float | None:
        """Return when the ENI was added."""
        slot = self._slots.get(eni_id)
        return slot.since if slot is not None else None

    def addresses_of(self, eni_id: str) -> tuple[IPv4Address, ...]:
        """Return the secondary addresses of an ENI, in any state; empty for an unknown one."""
        slot = self._slots.get(eni_id)
        return tuple(slot.addresses) if slot is not None else ()

    def is_settled_at(self, address: IPv4Address, asked_at: float) -> bool:
        """Return whether an answer of EC2 to a question asked at ``asked_at`` must list the address.

        False for one that was added later, and for one whose release is under way.
        """
        entry = self._entries.get(address)
        return entry is not None and entry.added_at < asked_at and not isinstance(entry.holder, Releasing)

    def was_removed_since(self, what: IPv4Address | str, moment: float) -> bool:
        """Return whether the address (or ENI id) was given back after ``moment``; remembered for two minutes."""
        return self._removed_at.get(what, -math.inf) > moment

    def addresses(self) -> Iterator[AddressInfo]:
        """Describe every address for status pages; O(n)."""
        return (_describe(entry) for entry in self._entries.values())

    def view(self, now: float) -> PoolView:
        """Return a frozen picture for ``plan_pool``; cooldowns that ended by ``now`` are free in it. O(free + ENIs)."""
        ready_at = self.next_ready_at(now)
        creating = tuple(growth for growth in self._growths.values() if not growth.eni_id)
        return PoolView(tuple(slot.view() for slot in self._slots.values()), creating, ready_at)

    # -- ENIs and addresses from EC2 ------------------------------------------------------------------------------

    def add_eni(self, eni: Eni, now: float, *, state: EniState = EniState.READY) -> None:
        """Take in an ENI with its secondary addresses. An ENI that is known keeps its state and gains addresses."""
        if eni.eni_id not in self._slots:
            self._slots[eni.eni_id] = EniSlot(eni, state, now)
        self.add_addresses(eni.eni_id, eni.addresses, now)

    def add_addresses(self, eni_id: str, addresses: Iterable[IPv4Address], now: float) -> tuple[IPv4Address, ...]:
        """Take in secondary addresses; those already there stay as they are.

        An address that the pool remembers without an ENI (cooling, quarantined, or held by a pod) keeps that state.
        One that the pool has on another ENI is quarantined: EC2 moved it, and its rules point to the wrong table.

        Returns:
            The addresses that are new here, in the given order.
        """
        slot = self._slot(eni_id)
        self._removed_at.pop(eni_id, None)
        return tuple(address for address in addresses if self._add_address(slot, address, now))

    def remove_addresses(self, addresses: Iterable[IPv4Address], now: float) -> None:
        """Forget addresses that EC2 no longer gives to their ENI; unknown ones are ignored.

        A pod's address is never forgotten: it stays with its pod, quarantined. A cooldown is remembered without an ENI,
        so that it still holds if EC2 gives the address back soon.
        """
        for address in addresses:
            entry = self._entries.get(address)
            if entry is not None:
                self._detach_entry(entry, now)
                self._remember_removal(address, now)

    def remove_eni(self, eni_id: str, now: float) -> None:
        """Forget an ENI that EC2 has detached, and its addresses as ``remove_addresses`` does. Unknown: no effect."""
        slot = self._slots.get(eni_id)
        if slot is None:
            return
        self.remove_addresses(tuple(slot.addresses), now)
        self._remember_removal(eni_id, now)
        del self._slots[eni_id]

    def set_eni_state(self, eni_id: str, state: EniState) -> None:
        """Move an ENI to ``state``.

        Raises:
            InternalError: ``DETACHING`` for an ENI with pods, cooling or quarantined addresses, or a permanent one.
        """
        slot = self._slot(eni_id)
        view = slot.view()
        if state is EniState.DETACHING and (view.held or view.is_permanent):
            raise InternalError(f"ENI {eni_id} must not be released: {view.held} of its addresses are in use")
        slot.state = state

    def begin_release(self, addresses: Iterable[IPv4Address]) -> None:
        """Mark free addresses as going back to EC2, all or none: from now on no pod gets them.

        Raises:
            InternalError: an address is not free.
        """
        entries = [self._entry(address) for address in addresses]
        for entry in entries:
            if entry.state is not AddressState.FREE:
                raise InternalError(f"address {entry.address} must not be released: it is {entry.state}")
        for entry in entries:
            self._put(entry, RELEASING)

    def cancel_release(self, addresses: Iterable[IPv4Address]) -> None:
        """EC2 kept the addresses: those still marked are free again, as rested as before."""
        for address in addresses:
            entry = self._entries.get(address)
            if entry is not None and isinstance(entry.holder, Releasing):
                self._put(entry, None)

    def start_growth(self, growth: Growth) -> None:
        """Count addresses that EC2 is being asked for, until ``finish_growth``: no plan asks for them twice."""
        self._growths[growth.token] = growth
        if growth.eni_id:
            self._slot(growth.eni_id).growing += growth.count

    def finish_growth(self, token: str) -> None:
        """EC2 has answered, well or badly. Call it after the new addresses were added. Unknown token: no effect."""
        growth = self._growths.pop(token, None)
        slot = self._slots.get(growth.eni_id) if growth is not None else None
        if growth is not None and slot is not None:
            slot.growing -= growth.count

    # -- Doubt and restart ----------------------------------------------------------------------------------------

    def quarantine(self, address: IPv4Address, reason: QuarantineReason, now: float, detail: str = "") -> Quarantine:
        """Stop handing ``address`` out and giving it back; unknown addresses are remembered. First reason wins."""
        entry = self._entry_or_new(address, now)
        if entry.quarantine is not None:
            return entry.quarantine
        eni_id = entry.slot.eni.eni_id if entry.slot is not None else ""
        quarantine = Quarantine(address, eni_id, reason, now, detail)
        self._set_quarantine(entry, quarantine)
        return quarantine

    def resolve(self, address: IPv4Address) -> None:
        """Lift a quarantine: the state below it comes back. Without an ENI and a holder the address is forgotten."""
        entry = self._entries.get(address)
        if entry is not None and entry.quarantine is not None:
            self._set_quarantine(entry, None)

    def restore_allocation(self, allocation: Allocation, now: float) -> None:
        """Give an address to the sandbox that already has it in the kernel.

        Raises:
            InternalError: the address or the key has another owner.
        """
        entry = self._entry_or_new(allocation.address, now)
        held = self._by_key.get(allocation.key, allocation)
        if held != allocation or entry.holder not in (None, allocation):
            raise InternalError(f"cannot restore {allocation.key} on {allocation.address}: {entry.holder or held}")
        self._by_key[allocation.key] = allocation
        self._put(entry, allocation)

    def restore_cooling(self, cooling: Cooling, now: float) -> None:
        """Go on with a cooldown that was running before a restart.

        Raises:
            InternalError: the address has a holder.
        """
        entry = self._entry_or_new(cooling.address, now)
        if entry.holder not in (None, cooling):
            raise InternalError(f"cannot restore the cooldown of {cooling.address}: {entry.holder}")
        self._put(entry, cooling)

    # -- Inside ---------------------------------------------------------------------------------------------------

    def _put(self, entry: Entry, holder: Holder) -> None:
        """Change who holds an address; with ``_set_quarantine`` the only place where an address changes state."""
        before, previous = entry.state, entry.holder
        if isinstance(previous, Cooling) and not previous.link_gone:
            self._forget_link(previous)
        if isinstance(holder, Cooling) and not holder.link_gone:
            self._links_awaited.setdefault(holder.key, set()).add(holder.address)
        entry.holder = holder
        self._after_change(entry, before)

    def _set_quarantine(self, entry: Entry, quarantine: Quarantine | None) -> None:
        before = entry.state
        entry.quarantine = quarantine
        self._after_change(entry, before)

    def _after_change(self, entry: Entry, before: AddressState) -> None:
        if entry.slot is not None:
            entry.slot.recount(entry, before)
        elif entry.state is AddressState.FREE:
            del self._entries[entry.address]
        ready_at = entry.ready_at()
        if ready_at is not None:
            heapq.heappush(self._cooldowns, (ready_at, int(entry.address), entry.address))

    def _forget_link(self, cooling: Cooling) -> None:
        waiting = self._links_awaited[cooling.key]
        waiting.discard(cooling.address)
        if not waiting:
            del self._links_awaited[cooling.key]

    def _settle(self, now: float) -> None:
        """Free the addresses whose cooldown ended by ``now``. Amortised O(log n) for each release."""
        while self._cooldowns and self._cooldowns[0][0] <= now:
            item = heapq.heappop(self._cooldowns)
            if self._is_current(item):
                entry = self._entries[item[2]]
                entry.rested_since = item[0]
                self._put(entry, None)

    def _is_current(self, item: tuple[float, int, IPv4Address]) -> bool:
        entry = self._entries.get(item[2])
        return entry is not None and entry.ready_at() == item[0]

    def _is_usable(self, address: IPv4Address) -> bool:
        slot = self._entries[address].slot
        return slot is not None and slot.state is EniState.READY

    def _next_usable(self) -> float | None:
        current = (item for item in self._cooldowns if self._is_current(item))
        return min((until for until, _, address in current if self._is_usable(address)), default=None)

    def _best_slot(self) -> EniSlot | None:
        # At most 15 ENIs exist on a network card, so a scan costs less than an ordered structure.
        candidates = (slot for slot in self._slots.values() if slot.has_free and slot.state is EniState.READY)
        return min(candidates, key=lambda slot: slot.packing_order, default=None)

    def _add_address(self, slot: EniSlot, address: IPv4Address, now: float) -> bool:
        entry = self._entry_or_new(address, now)
        self._removed_at.pop(address, None)
        if entry.slot is slot:
            return False
        previous, entry.added_at = entry.slot, now
        if previous is not None:
            previous.remove(entry)
        slot.add(entry)
        if previous is not None and entry.holder is not None:
            detail = f"moved from {previous.eni.eni_id} to {slot.eni.eni_id}"
            self.quarantine(address, QuarantineReason.OTHER_ENI, now, detail)
        return True

    def _detach_entry(self, entry: Entry, now: float) -> None:
        slot, held_by_pod = entry.slot, isinstance(entry.holder, Allocation)
        if slot is not None:
            slot.remove(entry)
        if held_by_pod:
            eni_id = slot.eni.eni_id if slot is not None else "no ENI"
            self.quarantine(entry.address, QuarantineReason.NOT_IN_EC2, now, f"EC2 no longer lists it on {eni_id}")
        elif not isinstance(entry.holder, Cooling):
            del self._entries[entry.address]

    def _remember_removal(self, what: IPv4Address | str, now: float) -> None:
        removed = self._removed_at
        removed.pop(what, None)
        removed[what] = now
        # Kept in order of time, so what is old enough to forget comes first.
        while removed[oldest := next(iter(removed))] <= now - REMOVAL_MEMORY_SECONDS:
            del removed[oldest]

    def _slot(self, eni_id: str) -> EniSlot:
        slot = self._slots.get(eni_id)
        if slot is None:
            raise InternalError(f"the pool does not know ENI {eni_id}")
        return slot

    def _entry(self, address: IPv4Address) -> Entry:
        entry = self._entries.get(address)
        if entry is None:
            raise InternalError(f"the pool does not know address {address}")
        return entry

    def _entry_or_new(self, address: IPv4Address, now: float) -> Entry:
        entry = self._entries.get(address)
        if entry is None:
            entry = self._entries[address] = Entry(address, added_at=now)
        return entry


def _describe(entry: Entry) -> AddressInfo:
    holder = entry.holder
    return AddressInfo(
        address=entry.address,
        eni_id=entry.slot.eni.eni_id if entry.slot is not None else "",
        state=entry.state,
        owner=str(holder.key) if isinstance(holder, Allocation | Cooling) else "",
        until=holder.until if isinstance(holder, Cooling) else None,
        reason=f"{entry.quarantine.reason}: {entry.quarantine.detail}" if entry.quarantine is not None else "",
    )
