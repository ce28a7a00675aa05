"""The IPv6 addresses of one subnet: always a /64, so it never runs out and bookkeeping is of what is used only."""

import random
from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network

from vpc_cni.lab.cloud import errors
from vpc_cni.lab.cloud.records import ReservationKind

SUBNET_LENGTH = 64
PREFIX_LENGTH = 80
_HOST_BITS = 128 - SUBNET_LENGTH
_PREFIX_BITS = 128 - PREFIX_LENGTH
# EC2 keeps the first four and the last address, as in IPv4.
_FIRST_OPEN = 4
_LAST_OPEN = 2**_HOST_BITS - 2


class AddressSpace6:
    """Bookkeeping of one /64. Every ``take`` is all or nothing; errors are EC2's."""

    def __init__(self, cidr: IPv6Network, rng: random.Random) -> None:
        self.cidr = cidr
        self._rng = rng
        self._base = int(cidr.network_address)
        self._used: set[int] = set()
        self._prefixes: set[int] = set()
        self._reserved: dict[IPv6Network, ReservationKind] = {}

    def reserve(self, cidr: IPv6Network, kind: ReservationKind) -> None:
        if any(cidr.overlaps(other) for other in self._reserved):
            raise errors.reservation_conflict(cidr)
        self._reserved[cidr] = kind

    def unreserve(self, cidr: IPv6Network) -> None:
        del self._reserved[cidr]

    def take_addresses(self, count: int) -> tuple[IPv6Address, ...]:
        chosen: dict[int, None] = {}
        while len(chosen) < count:
            number = self._base + self._rng.randint(_FIRST_OPEN, _LAST_OPEN)
            if self._is_free(number) and not self._is_reserved(number):
                chosen[number] = None
        self._used.update(chosen)
        return tuple(map(IPv6Address, chosen))

    def take_exactly(self, addresses: Sequence[IPv6Address]) -> None:
        for address in addresses:
            if address not in self.cidr:
                raise errors.outside_subnet()
            if not _FIRST_OPEN <= int(address) - self._base <= _LAST_OPEN:
                raise errors.reserved_address()
            if not self._is_free(int(address)):
                raise errors.address_in_use(str(address))
        if len(set(addresses)) != len(addresses):
            raise errors.invalid_value("Duplicate addresses are not allowed")
        self._used.update(map(int, addresses))

    def take_prefixes(self, count: int) -> tuple[IPv6Network, ...]:
        """Take ``count`` free /80 blocks: from prefix reservations first, then anywhere, at random."""
        chosen: list[int] = []
        for cidr, kind in self._reserved.items():
            if kind is ReservationKind.PREFIX and cidr.prefixlen <= PREFIX_LENGTH:
                chosen += self._blocks_of(cidr, count - len(chosen))
        while len(chosen) < count:
            base = self._base + (self._rng.getrandbits(_HOST_BITS - _PREFIX_BITS) << _PREFIX_BITS)
            if base not in chosen and self._is_block_free(base) and not self._is_reserved(base):
                chosen.append(base)
        self._prefixes.update(chosen)
        return tuple(map(_block, chosen))

    def take_prefixes_exactly(self, prefixes: Sequence[IPv6Network]) -> None:
        for prefix in prefixes:
            if prefix.prefixlen != PREFIX_LENGTH:
                raise errors.unaligned_prefix(str(prefix), PREFIX_LENGTH)
            if not prefix.subnet_of(self.cidr):
                raise errors.outside_subnet()
            if not self._is_block_free(int(prefix.network_address)):
                raise errors.no_free_block()
        if len(set(prefixes)) != len(prefixes):
            raise errors.invalid_value("Duplicate prefixes are not allowed")
        self._prefixes.update(int(prefix.network_address) for prefix in prefixes)

    def release(self, addresses: Sequence[IPv6Address], prefixes: Sequence[IPv6Network] = ()) -> None:
        for address in addresses:
            self._used.remove(int(address))
        for prefix in prefixes:
            self._prefixes.remove(int(prefix.network_address))

    def _is_free(self, number: int) -> bool:
        return number not in self._used and _block_base(number) not in self._prefixes

    def _is_reserved(self, number: int) -> bool:
        return any(IPv6Address(number) in cidr for cidr in self._reserved)

    def _is_block_free(self, base: int) -> bool:
        edge = base == self._base or base == _block_base(self._base + _LAST_OPEN)
        return not edge and base not in self._prefixes and base not in map(_block_base, self._used)

    def _blocks_of(self, cidr: IPv6Network, count: int) -> list[int]:
        found: list[int] = []
        first, last = int(cidr.network_address), int(cidr.broadcast_address)
        for base in range(first, last + 1, 2**_PREFIX_BITS):
            if len(found) == count:
                break
            if self._is_block_free(base):
                found.append(base)
        return found


def _block_base(number: int) -> int:
    return number >> _PREFIX_BITS << _PREFIX_BITS


def _block(base: int) -> IPv6Network:
    return IPv6Network((base, PREFIX_LENGTH))
