"""Book-keeping below the pool: one entry for each address, one slot for each ENI."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from vpc_cni.ipam.states import NEVER_USED, AddressState, EniState, EniView, FreeAddress, Quarantine
from vpc_cni.model import Allocation, Cooling, Eni


@dataclass(frozen=True, slots=True)
class Releasing:
    """EC2 is being asked to take the address back."""


RELEASING = Releasing()


Holder = Allocation | Cooling | Releasing | None

_STATE_OF_HOLDER = {
    Allocation: AddressState.ASSIGNED,
    Cooling: AddressState.COOLING,
    Releasing: AddressState.RELEASING,
    type(None): AddressState.FREE,
}


_ASSIGNED, _COOLING = AddressState.ASSIGNED, AddressState.COOLING


@dataclass(slots=True, eq=False)
class Entry:
    """One address. At most one holder, by construction; ``slot`` is None when no ENI of the pool has the address."""

    address: IPv4Address
    added_at: float
    slot: "EniSlot | None" = field(default=None, repr=False)
    holder: Holder = None
    quarantine: Quarantine | None = None
    rested_since: float = NEVER_USED

    @property
    def state(self) -> AddressState:
        return AddressState.QUARANTINED if self.quarantine is not None else _STATE_OF_HOLDER[type(self.holder)]

    def ready_at(self) -> float | None:
        """When the cooldown makes the address free; None when it is not cooling or waits for something else."""
        if self.quarantine is None and isinstance(self.holder, Cooling) and self.holder.link_gone:
            return self.holder.until
        return None


def _no_counts() -> dict[AddressState, int]:
    return dict.fromkeys(AddressState, 0)


@dataclass(slots=True, eq=False)
class EniSlot:
    """One ENI: how many addresses are in which state, and its free ones ordered by how long they rested.

    The heap may hold stale items (an address that left the free state by another way); ``_free`` is the truth.
    """

    eni: Eni
    state: EniState
    since: float
    growing: int = 0
    counts: dict[AddressState, int] = field(default_factory=_no_counts)
    addresses: dict[IPv4Address, Entry] = field(default_factory=dict)
    _free: dict[IPv4Address, float] = field(default_factory=dict)
    _by_rest: list[tuple[float, int, IPv4Address]] = field(default_factory=list)
    _free_view: tuple[FreeAddress, ...] | None = None

    @property
    def is_permanent(self) -> bool:
        """True for ENIs that this project never releases."""
        return self.eni.is_primary or self.eni.is_trunk or self.eni.is_efa

    @property
    def has_free(self) -> bool:
        return bool(self._free)

    @property
    def packing_order(self) -> tuple[bool, int, int, int]:
        """Same order as ``EniView.packing_order``, without building a view on the path of an ADD."""
        counts, eni = self.counts, self.eni
        return (
            not (eni.is_primary or eni.is_trunk or eni.is_efa),
            -counts[_ASSIGNED],
            -counts[_COOLING],
            eni.device_number,
        )

    def add(self, entry: Entry) -> None:
        """Take the entry in, in whatever state it is."""
        entry.slot = self
        self.addresses[entry.address] = entry
        self._enter(entry)

    def remove(self, entry: Entry) -> None:
        """Let the entry go; its holder and quarantine stay as they are."""
        self._leave(entry, entry.state)
        del self.addresses[entry.address]
        entry.slot = None

    def recount(self, entry: Entry, before: AddressState) -> None:
        """Follow a change of ``entry`` from state ``before`` to the one it has now."""
        self._leave(entry, before)
        self._enter(entry)

    def best_rested(self) -> IPv4Address | None:
        """Return the free address that rested longest; never-used ones first, then by number. Amortised O(log n)."""
        while self._by_rest:
            rested_since, _, address = self._by_rest[0]
            if self._free.get(address) == rested_since:
                return address
            heapq.heappop(self._by_rest)
        return None

    def view(self) -> EniView:
        counts = self.counts
        return EniView(
            eni_id=self.eni.eni_id,
            device_number=self.eni.device_number,
            subnet_id=self.eni.subnet_id,
            state=self.state,
            since=self.since,
            is_permanent=self.is_permanent,
            assigned=counts[AddressState.ASSIGNED],
            cooling=counts[AddressState.COOLING],
            quarantined=counts[AddressState.QUARANTINED],
            releasing=counts[AddressState.RELEASING],
            growing=self.growing,
            prefixes=len(self.eni.prefixes),
            free=self._free_addresses(),
        )

    def _free_addresses(self) -> tuple[FreeAddress, ...]:
        # Kept until it changes: plans follow each other closely, and most ENIs are the same in all of them.
        if self._free_view is None:
            self._free_view = tuple(FreeAddress(since, address) for address, since in self._free.items())
        return self._free_view

    def _enter(self, entry: Entry) -> None:
        self.counts[entry.state] += 1
        if entry.state is AddressState.FREE:
            self._free[entry.address] = entry.rested_since
            self._free_view = None
            heapq.heappush(self._by_rest, _rest_item(entry))
            self._drop_stale()

    def _leave(self, entry: Entry, state: AddressState) -> None:
        self.counts[state] -= 1
        if state is AddressState.FREE:
            del self._free[entry.address]
            self._free_view = None

    def _drop_stale(self) -> None:
        # Without this, addresses that go back and forth without being handed out would grow the heap for ever.
        if len(self._by_rest) > 2 * len(self._free) + 16:
            self._by_rest = _heap_of(self.addresses[address] for address in self._free)


def _rest_item(entry: Entry) -> tuple[float, int, IPv4Address]:
    # The number breaks ties: comparing integers is 20 times cheaper than comparing IPv4Address objects.
    return (entry.rested_since, int(entry.address), entry.address)


def _heap_of(entries: Iterable[Entry]) -> list[tuple[float, int, IPv4Address]]:
    items = [_rest_item(entry) for entry in entries]
    heapq.heapify(items)
    return items
