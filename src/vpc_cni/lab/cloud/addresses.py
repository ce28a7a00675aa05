"""Assigning addresses and prefixes to ENIs, and taking them back: Assign/Unassign calls and what creation needs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vpc_cni.lab.cloud import errors
from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.errors import CloudApiError
from vpc_cni.lab.cloud.events import AddressesAssigned, AddressesUnassigned
from vpc_cni.lab.cloud.records import Interface, Network, host_network
from vpc_cni.lab.cloud.space6 import AddressSpace6

# An ENI outside any instance is bounded by what the largest type takes; attaching checks the type's own limit.
UNATTACHED_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Order4:
    """IPv4 wanted: named addresses and prefixes, and numbers of any. All of it is served, or nothing."""

    addresses: tuple[IPv4Address, ...] = ()
    count: int = 0
    prefixes: tuple[IPv4Network, ...] = ()
    prefix_count: int = 0

    @property
    def slots(self) -> int:
        return len(self.addresses) + self.count + len(self.prefixes) + self.prefix_count


@dataclass(frozen=True, slots=True)
class Order6:
    """IPv6 wanted, as ``Order4``."""

    addresses: tuple[IPv6Address, ...] = ()
    count: int = 0
    prefixes: tuple[IPv6Network, ...] = ()
    prefix_count: int = 0

    @property
    def slots(self) -> int:
        return len(self.addresses) + self.count + len(self.prefixes) + self.prefix_count


NOTHING4 = Order4()
NOTHING6 = Order6()


@dataclass(frozen=True, slots=True)
class Assigned4:
    """The ENI after the change, and what the change gave it."""

    eni: Interface
    addresses: tuple[IPv4Address, ...]
    prefixes: tuple[IPv4Network, ...]


@dataclass(frozen=True, slots=True)
class Assigned6:
    eni: Interface
    addresses: tuple[IPv6Address, ...]
    prefixes: tuple[IPv6Network, ...]


def assign(cloud: Cloud, eni_id: str, order: Order4, *, allow_reassignment: bool = False) -> Assigned4:
    """Give an ENI secondary addresses or /28 prefixes.

    Naming an address that the ENI already has is no error. One that another ENI of the subnet has as a secondary
    address moves when ``allow_reassignment`` is set.
    """
    now = cloud.now()
    eni = cloud.interface(eni_id)
    fresh = replace(order, addresses=tuple(a for a in order.addresses if a not in eni.secondary))
    if eni.ipv4_slots + fresh.slots > ipv4_limit(cloud, eni):
        raise errors.address_limit()
    moved = _movable(cloud, eni, fresh.addresses, allow_reassignment)
    rest = replace(fresh, addresses=tuple(a for a in fresh.addresses if a not in moved))
    taken, prefixes = take4(cloud, eni.subnet_id, rest)
    for address, owner_id in moved.items():
        _give_up(cloud, cloud.interface(owner_id), (address,), (), now)
    added = (*moved, *taken)
    if not added and not prefixes:
        return Assigned4(eni, order.addresses, ())
    eni = replace(eni, secondary=(*eni.secondary, *added), prefixes=(*eni.prefixes, *prefixes))
    cloud.interfaces.put(eni_id, eni, now)
    cloud.note_owner(eni.vpc_id, added, eni_id)
    cloud.emit(AddressesAssigned(eni, (*map(host_network, added), *prefixes)))
    return Assigned4(eni, order.addresses or added, prefixes)


def unassign(
    cloud: Cloud, eni_id: str, addresses: Sequence[IPv4Address] = (), prefixes: Sequence[IPv4Network] = ()
) -> Interface:
    """Take secondary addresses or prefixes from an ENI. All named ones must be there; the primary cannot go."""
    now = cloud.now()
    eni = cloud.interface(eni_id)
    if not set(addresses) <= set(eni.secondary) or not set(prefixes) <= set(eni.prefixes):
        raise errors.not_assigned(eni_id)
    addresses, prefixes = tuple(dict.fromkeys(addresses)), tuple(dict.fromkeys(prefixes))
    if not addresses and not prefixes:
        return eni
    cloud.spaces[eni.subnet_id].release(addresses, prefixes)
    return _give_up(cloud, eni, addresses, prefixes, now)


def assign6(cloud: Cloud, eni_id: str, order: Order6) -> Assigned6:
    """Give an ENI IPv6 addresses or /80 prefixes; its subnet must have an IPv6 range."""
    now = cloud.now()
    eni = cloud.interface(eni_id)
    fresh = replace(order, addresses=tuple(a for a in order.addresses if a not in eni.ipv6))
    if eni.ipv6_slots + fresh.slots > ipv6_limit(cloud, eni):
        raise errors.ipv6_limit()
    taken, prefixes = take6(cloud, eni.subnet_id, fresh)
    if not taken and not prefixes:
        return Assigned6(eni, order.addresses, ())
    eni = replace(eni, ipv6=(*eni.ipv6, *taken), ipv6_prefixes=(*eni.ipv6_prefixes, *prefixes))
    cloud.interfaces.put(eni_id, eni, now)
    cloud.note_owner(eni.vpc_id, taken, eni_id)
    cloud.emit(AddressesAssigned(eni, (*map(host_network, taken), *prefixes)))
    return Assigned6(eni, order.addresses or taken, prefixes)


def unassign6(
    cloud: Cloud, eni_id: str, addresses: Sequence[IPv6Address] = (), prefixes: Sequence[IPv6Network] = ()
) -> Interface:
    """Take IPv6 addresses or prefixes from an ENI; all named ones must be there."""
    now = cloud.now()
    eni = cloud.interface(eni_id)
    if not set(addresses) <= set(eni.ipv6) or not set(prefixes) <= set(eni.ipv6_prefixes):
        raise errors.not_assigned(eni_id)
    addresses, prefixes = tuple(dict.fromkeys(addresses)), tuple(dict.fromkeys(prefixes))
    if not addresses and not prefixes:
        return eni
    cloud.spaces6[eni.subnet_id].release(addresses, prefixes)
    kept = tuple(a for a in eni.ipv6 if a not in addresses)
    eni = replace(eni, ipv6=kept, ipv6_prefixes=tuple(p for p in eni.ipv6_prefixes if p not in prefixes))
    cloud.interfaces.put(eni_id, eni, now)
    cloud.note_owner(eni.vpc_id, addresses, None)
    cloud.emit(AddressesUnassigned(eni, (*map(host_network, addresses), *prefixes)))
    return eni


def take4(cloud: Cloud, subnet_id: str, order: Order4) -> tuple[tuple[IPv4Address, ...], tuple[IPv4Network, ...]]:
    """Take what ``order`` wants from the subnet: named addresses first in the result, then random ones."""
    space = cloud.spaces[subnet_id]
    if order.slots and cloud.faults.is_subnet_full(subnet_id):
        raise errors.no_free_block() if order.prefixes or order.prefix_count else errors.subnet_full()
    addresses: tuple[IPv4Address, ...] = ()
    prefixes: tuple[IPv4Network, ...] = ()
    try:
        space.take_exactly(order.addresses)
        addresses = order.addresses
        space.take_prefixes_exactly(order.prefixes)
        prefixes = order.prefixes
        prefixes += space.take_prefixes(order.prefix_count)
        # Last, so that a random address cannot land in a block that the same request names.
        addresses += space.take_addresses(order.count)
    except CloudApiError:
        space.release(addresses, prefixes)
        raise
    return addresses, prefixes


def take6(cloud: Cloud, subnet_id: str, order: Order6) -> tuple[tuple[IPv6Address, ...], tuple[IPv6Network, ...]]:
    """Take what ``order`` wants from the subnet's IPv6 range."""
    if not order.slots:
        return (), ()
    space = _space6(cloud, subnet_id)
    addresses: tuple[IPv6Address, ...] = ()
    prefixes: tuple[IPv6Network, ...] = ()
    try:
        space.take_exactly(order.addresses)
        addresses = order.addresses
        space.take_prefixes_exactly(order.prefixes)
        prefixes = order.prefixes
        prefixes += space.take_prefixes(order.prefix_count)
        addresses += space.take_addresses(order.count)
    except CloudApiError:
        space.release(addresses, prefixes)
        raise
    return addresses, prefixes


def release_all(cloud: Cloud, eni: Interface) -> None:
    """Give every address of a deleted ENI back to its subnet."""
    singles = (eni.primary, *eni.secondary)
    cloud.spaces[eni.subnet_id].release(singles, eni.prefixes)
    if eni.ipv6 or eni.ipv6_prefixes:
        cloud.spaces6[eni.subnet_id].release(eni.ipv6, eni.ipv6_prefixes)
    cloud.note_owner(eni.vpc_id, (*singles, *eni.ipv6), None)


def ipv4_limit(cloud: Cloud, eni: Interface) -> int:
    """Return how many IPv4 slots (primary included) the ENI may have where it is now."""
    if eni.attachment is None:
        return UNATTACHED_LIMIT
    return cloud.type_of(cloud.instance(eni.attachment.instance_id)).ipv4_per_eni


def ipv6_limit(cloud: Cloud, eni: Interface) -> int:
    if eni.attachment is None:
        return UNATTACHED_LIMIT
    return cloud.type_of(cloud.instance(eni.attachment.instance_id)).ipv6_per_eni


def _space6(cloud: Cloud, subnet_id: str) -> AddressSpace6:
    space = cloud.spaces6.get(subnet_id)
    if space is None:
        raise errors.invalid_value(f"Subnet '{subnet_id}' does not have an IPv6 CIDR block associated with it")
    return space


def _movable(
    cloud: Cloud, eni: Interface, addresses: Sequence[IPv4Address], allow_reassignment: bool
) -> dict[IPv4Address, str]:
    """Return, of the named addresses, those to move here and the ENI that each leaves."""
    moved: dict[IPv4Address, str] = {}
    for address in addresses:
        owner = cloud.eni_of_address(eni.vpc_id, address)
        if owner is None:
            continue
        if owner.subnet_id != eni.subnet_id:
            raise errors.outside_subnet()
        if not allow_reassignment or address not in owner.secondary:
            raise errors.not_moved([str(address)])
        moved[address] = owner.eni_id
    return moved


def _give_up(
    cloud: Cloud, eni: Interface, addresses: Sequence[IPv4Address], prefixes: Sequence[IPv4Network], now: float
) -> Interface:
    """Remove addresses from the record; the subnet's bookkeeping is the caller's."""
    gone, gone_prefixes = set(addresses), set(prefixes)
    eni = replace(
        eni,
        secondary=tuple(a for a in eni.secondary if a not in gone),
        prefixes=tuple(p for p in eni.prefixes if p not in gone_prefixes),
    )
    cloud.interfaces.put(eni.eni_id, eni, now)
    cloud.note_owner(eni.vpc_id, tuple(addresses), None)
    networks: tuple[Network, ...] = (*map(host_network, addresses), *prefixes)
    cloud.emit(AddressesUnassigned(eni, networks))
    return eni
