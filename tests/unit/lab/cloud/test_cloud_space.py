"""Address bookkeeping of a subnet: what is never handed out, fragmentation, reservations, all or nothing."""

import random
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from vpc_cni.lab.cloud import CloudApiError
from vpc_cni.lab.cloud.records import ReservationKind
from vpc_cni.lab.cloud.space import AddressSpace
from vpc_cni.lab.cloud.space6 import AddressSpace6

NET = IPv4Network("10.0.0.0/26")
NET6 = IPv6Network("2001:db8::/64")


def rng(seed: int = 1) -> random.Random:
    return random.Random(seed)  # noqa: S311 - repeatable on purpose


def space(cidr: IPv4Network = NET, seed: int = 1) -> AddressSpace:
    return AddressSpace(cidr, rng(seed))


def code_of(call: object, *arguments: object) -> str:
    with pytest.raises(CloudApiError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


def test_every_open_address_can_be_taken_once_and_no_other() -> None:
    subnet = space()
    taken = subnet.take_addresses(59)
    fixed = {NET.network_address + n for n in range(4)} | {NET.broadcast_address}
    assert set(taken) == set(NET) - fixed
    assert subnet.free_count == 0
    assert code_of(subnet.take_addresses, 1) == "InsufficientFreeAddressesInSubnet"
    subnet.release(taken[:2])
    assert set(subnet.take_addresses(2)) == set(taken[:2])


def test_taking_nothing_takes_nothing() -> None:
    subnet = space()
    assert subnet.take_addresses(0) == ()
    assert subnet.take_prefixes(0) == ()
    assert subnet.free_count == 59


def test_random_addresses_are_spread_and_repeatable() -> None:
    wide = IPv4Network("10.0.0.0/20")
    first = space(wide, seed=3).take_addresses(20)
    assert first == space(wide, seed=3).take_addresses(20)
    assert len({IPv4Network((address, 28), strict=False) for address in first}) > 10


def test_single_addresses_leave_no_block_though_many_are_free() -> None:
    subnet = space()
    subnet.take_exactly([IPv4Address("10.0.0.20"), IPv4Address("10.0.0.40")])
    assert subnet.free_count == 57
    assert code_of(subnet.take_prefixes, 1) == "InsufficientCidrBlocks"
    subnet.release([IPv4Address("10.0.0.40")])
    assert subnet.take_prefixes(1) == (IPv4Network("10.0.0.32/28"),)
    assert subnet.free_count == 42


def test_the_first_and_the_last_block_are_never_prefixes() -> None:
    subnet = space()
    assert subnet.take_prefixes(2) == (IPv4Network("10.0.0.16/28"), IPv4Network("10.0.0.32/28"))
    assert code_of(subnet.take_prefixes, 1) == "InsufficientCidrBlocks"
    assert code_of(subnet.take_prefixes_exactly, [IPv4Network("10.0.0.0/28")]) == "InsufficientCidrBlocks"


def test_prefixes_and_addresses_exclude_each_other() -> None:
    subnet = space()
    block = IPv4Network("10.0.0.16/28")
    subnet.take_prefixes_exactly([block])
    assert code_of(subnet.take_exactly, [IPv4Address("10.0.0.17")]) == "InvalidIPAddress.InUse"
    assert code_of(subnet.take_prefixes_exactly, [block]) == "InsufficientCidrBlocks"
    rest = subnet.take_addresses(43)
    assert not set(rest) & set(block)
    assert subnet.free_count == 0


@pytest.mark.parametrize(
    "prefix", ["10.0.0.0/27", "10.0.0.16/29", "10.9.0.0/28"], ids=["too wide", "too narrow", "elsewhere"]
)
def test_named_prefixes_must_be_blocks_of_the_subnet(prefix: str) -> None:
    assert code_of(space().take_prefixes_exactly, [IPv4Network(prefix)]) == "InvalidParameterValue"


def test_named_things_are_taken_all_or_none() -> None:
    subnet = space()
    subnet.take_exactly([IPv4Address("10.0.0.9")])
    named = [IPv4Address("10.0.0.8"), IPv4Address("10.0.0.9")]
    assert code_of(subnet.take_exactly, named) == "InvalidIPAddress.InUse"
    assert code_of(subnet.take_exactly, [named[0], named[0]]) == "InvalidParameterValue"
    assert subnet.used() == {IPv4Address("10.0.0.9")}


def test_prefix_reservations_serve_prefixes_first_and_no_random_address() -> None:
    subnet = space()
    reserved = IPv4Network("10.0.0.32/28")
    subnet.reserve(reserved, ReservationKind.PREFIX)
    assert subnet.take_prefixes(1) == (reserved,)
    assert subnet.take_prefixes(1) == (IPv4Network("10.0.0.16/28"),)
    assert not set(subnet.take_addresses(27)) & set(reserved)


def test_explicit_reservations_serve_only_what_is_named() -> None:
    subnet = space()
    reserved = IPv4Network("10.0.0.16/28")
    subnet.reserve(reserved, ReservationKind.EXPLICIT)
    assert subnet.take_prefixes(1) == (IPv4Network("10.0.0.32/28"),)
    assert code_of(subnet.take_prefixes, 1) == "InsufficientCidrBlocks"
    assert code_of(subnet.take_addresses, 28) == "InsufficientFreeAddressesInSubnet"
    subnet.take_exactly([IPv4Address("10.0.0.20")])
    subnet.unreserve(reserved)
    assert IPv4Address("10.0.0.21") in subnet.take_addresses(42)


def test_reservations_may_not_overlap() -> None:
    subnet = space()
    subnet.reserve(IPv4Network("10.0.0.16/28"), ReservationKind.PREFIX)
    overlapping = IPv4Network("10.0.0.16/29")
    assert code_of(subnet.reserve, overlapping, ReservationKind.EXPLICIT) == "InvalidCidrReservation.Conflict"


def test_ipv6_addresses_and_prefixes_are_apart() -> None:
    subnet = AddressSpace6(NET6, rng())
    prefix = IPv6Network("2001:db8:0:0:5::/80")
    subnet.take_prefixes_exactly([prefix])
    assert code_of(subnet.take_exactly, [prefix.network_address + 1]) == "InvalidIPAddress.InUse"
    assert code_of(subnet.take_prefixes_exactly, [prefix]) == "InsufficientCidrBlocks"
    address = IPv6Address("2001:db8:0:0:6::1")
    subnet.take_exactly([address])
    assert code_of(subnet.take_prefixes_exactly, [IPv6Network("2001:db8:0:0:6::/80")]) == "InsufficientCidrBlocks"
    subnet.release([address], [prefix])
    subnet.take_prefixes_exactly([prefix, IPv6Network("2001:db8:0:0:6::/80")])


@pytest.mark.parametrize(
    "address", ["2001:db8::3", "2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db9::9"], ids=["low", "last", "elsewhere"]
)
def test_ipv6_addresses_that_ec2_keeps(address: str) -> None:
    subnet = AddressSpace6(NET6, rng())
    assert code_of(subnet.take_exactly, [IPv6Address(address)]) == "InvalidParameterValue"


def test_ipv6_prefixes_come_from_reservations_first() -> None:
    subnet = AddressSpace6(NET6, rng())
    reserved = IPv6Network("2001:db8:0:0:8000::/79")
    subnet.reserve(reserved, ReservationKind.PREFIX)
    taken = subnet.take_prefixes(3)
    assert [block.subnet_of(reserved) for block in taken] == [True, True, False]
    assert not any(address in reserved for address in subnet.take_addresses(50))
