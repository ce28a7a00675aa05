"""The IPv4 addresses of one subnet: who has which is not its business, what is free is.

Theory: an address is *fixed* (EC2's own five), *used* alone, inside a delegated *prefix* (an aligned /28 that is used
as a whole), or free. Single addresses are drawn at random as EC2 does, so a subnet fragments: it may have hundreds of
free addresses and no free /28. Ranges under a reservation are left out of random draws.

Every ``take`` is all or nothing. Errors are EC2's.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network

from vpc_cni.lab.cloud import errors
from vpc_cni.lab.cloud.records import ReservationKind

PREFIX_LENGTH = 28
PREFIX_SIZE = 16
_BLOCK_MASK = ~(PREFIX_SIZE - 1)
# Draws tried for each address wanted before the free addresses are listed: a nearly full subnet needs the list.
_TRIES = 8


class AddressSpace:
    """Bookkeeping of one subnet. Holds ``fixed + used + 16 * prefixes + free == size`` after every call."""

    def __init__(self, cidr: IPv4Network, rng: random.Random) -> None:
        self.cidr = cidr
        self._rng = rng
        self._first = int(cidr.network_address)
        self._last = int(cidr.broadcast_address)
        self._fixed = {*range(self._first, self._first + 4), self._last}
        self._used: set[int] = set()
        self._prefixes: set[int] = set()
        self._single_uses: Counter[int] = Counter(address & _BLOCK_MASK for address in self._fixed)
        self._reserved: dict[IPv4Network, ReservationKind] = {}

    @property
    def free_count(self) -> int:
        """What DescribeSubnets reports: not fixed, not used, not in a prefix; reserved ranges still count."""
        size = self._last - self._first + 1
        return size - len(self._fixed) - len(self._used) - PREFIX_SIZE * len(self._prefixes)

    def used(self) -> set[IPv4Address]:
        return {IPv4Address(number) for number in self._used}

    def prefixes(self) -> set[IPv4Network]:
        return {_block(base) for base in self._prefixes}

    def reserve(self, cidr: IPv4Network, kind: ReservationKind) -> None:
        """Keep ``cidr`` out of random draws from now on; addresses in it that are in use stay in use."""
        if any(cidr.overlaps(other) for other in self._reserved):
            raise errors.reservation_conflict(cidr)
        self._reserved[cidr] = kind

    def unreserve(self, cidr: IPv4Network) -> None:
        del self._reserved[cidr]

    def take_addresses(self, count: int) -> tuple[IPv4Address, ...]:
        """Take ``count`` free addresses at random."""
        if count > self.free_count:
            raise errors.subnet_full()
        chosen = self._draw(count)
        if len(chosen) < count:
            chosen = self._sample(count)
        self._use(chosen)
        return tuple(map(IPv4Address, chosen))

    def take_exactly(self, addresses: Sequence[IPv4Address]) -> None:
        """Take the named addresses; they may lie in a reservation."""
        numbers = [int(address) for address in addresses]
        for address, number in zip(addresses, numbers, strict=True):
            if address not in self.cidr:
                raise errors.outside_subnet()
            if number in self._fixed:
                raise errors.reserved_address()
            if number in self._used or number & _BLOCK_MASK in self._prefixes:
                raise errors.address_in_use(str(address))
        if len(set(numbers)) != len(numbers):
            raise errors.invalid_value("Duplicate addresses are not allowed")
        self._use(numbers)

    def take_prefixes(self, count: int) -> tuple[IPv4Network, ...]:
        """Take ``count`` free aligned /28 blocks: from prefix reservations first, then from the rest, lowest first."""
        chosen: list[int] = []
        for base in self._free_blocks():
            if len(chosen) == count:
                break
            chosen.append(base)
        if len(chosen) < count:
            raise errors.no_free_block()
        self._prefixes.update(chosen)
        return tuple(map(_block, chosen))

    def take_prefixes_exactly(self, prefixes: Sequence[IPv4Network]) -> None:
        """Take the named /28 blocks; they may lie in a reservation."""
        for prefix in prefixes:
            base = int(prefix.network_address)
            if prefix.prefixlen != PREFIX_LENGTH:
                raise errors.unaligned_prefix(str(prefix), PREFIX_LENGTH)
            if not prefix.subnet_of(self.cidr):
                raise errors.outside_subnet()
            if base in self._prefixes or self._single_uses[base]:
                raise errors.no_free_block()
        if len(set(prefixes)) != len(prefixes):
            raise errors.invalid_value("Duplicate prefixes are not allowed")
        self._prefixes.update(int(prefix.network_address) for prefix in prefixes)

    def release(self, addresses: Sequence[IPv4Address], prefixes: Sequence[IPv4Network] = ()) -> None:
        """Give back what was taken; raises KeyError for what was not."""
        for address in addresses:
            self._used.remove(int(address))
            self._single_uses[int(address) & _BLOCK_MASK] -= 1
        for prefix in prefixes:
            self._prefixes.remove(int(prefix.network_address))

    def _use(self, numbers: Sequence[int]) -> None:
        self._used.update(numbers)
        self._single_uses.update(number & _BLOCK_MASK for number in numbers)

    def _draw(self, count: int) -> list[int]:
        """Draw at random; fewer than ``count`` when luck runs out, as it does when the subnet is nearly full."""
        chosen: dict[int, None] = {}
        for _ in range(_TRIES * count):
            if len(chosen) == count:
                break
            number = self._rng.randint(self._first, self._last)
            if number not in chosen and self._is_open(number):
                chosen[number] = None
        return list(chosen)

    def _sample(self, count: int) -> list[int]:
        candidates = [number for number in range(self._first, self._last + 1) if self._is_open(number)]
        if len(candidates) < count:
            raise errors.subnet_full()
        return self._rng.sample(candidates, count)

    def _is_open(self, number: int) -> bool:
        """True when EC2 may hand out ``number`` as a single address of its own choice."""
        if number in self._used or number in self._fixed or number & _BLOCK_MASK in self._prefixes:
            return False
        return not self._reserved or not any(IPv4Address(number) in cidr for cidr in self._reserved)

    def _free_blocks(self) -> Iterator[int]:
        for cidr, kind in self._reserved.items():
            if kind is ReservationKind.PREFIX:
                yield from self._free_blocks_in(cidr)
        for base in self._free_blocks_in(self.cidr):
            if not any(_block(base).overlaps(cidr) for cidr in self._reserved):
                yield base

    def _free_blocks_in(self, cidr: IPv4Network) -> Iterator[int]:
        last = int(cidr.broadcast_address)
        start = (int(cidr.network_address) + PREFIX_SIZE - 1) & _BLOCK_MASK
        for base in range(start, last - PREFIX_SIZE + 2, PREFIX_SIZE):
            if base not in self._prefixes and not self._single_uses[base]:
                yield base


def _block(base: int) -> IPv4Network:
    return IPv4Network((base, PREFIX_LENGTH))
