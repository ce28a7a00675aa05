"""Set-up of ENIs and of the rules that are not about one pod."""

import asyncio
import errno
import threading
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_network
from typing import TYPE_CHECKING

import pytest

from vpc_cni.errors import KernelError
from vpc_cni.netlink import messages, uapi
from vpc_cni.netlink.events import EventSocket
from vpc_cni.netlink.link_wait import wait_for_link
from vpc_cni.netlink.objects import Link, Route, Rule
from vpc_cni.netlink.uapi import Scope

if TYPE_CHECKING:
    from tests.functional.netlink.conftest import Node, Vpc

MAC = "02:00:00:00:06:01"


def eni_link(vpc: "Vpc") -> Link:
    link = vpc.node.link("ens6")
    assert link is not None
    return link


def addresses(vpc: "Vpc", ifindex: int) -> list[str]:
    return [str(a.interface) for a in vpc.node.host.list_addresses() if a.ifindex == ifindex]


def test_secondary_eni_gets_its_address_and_table(vpc: "Vpc") -> None:
    link = eni_link(vpc)
    vpc.node.own.set_up_eni(vpc.secondary, link, 9001)
    after = eni_link(vpc)
    assert (after.is_up, after.mtu_bytes) == (True, 9001)
    assert addresses(vpc, link.ifindex) == ["10.0.0.20/24"]
    table = [route.path for route in vpc.node.host.list_routes(table=2)]
    assert table == [
        Route(ip_network("0.0.0.0/0"), 2, link.ifindex, IPv4Address("10.0.0.1")).path,
        Route(ip_network("10.0.0.1/32"), 2, link.ifindex, scope=Scope.LINK).path,
    ]


def test_no_route_to_the_subnet_by_the_secondary_eni_stays_in_the_main_table(vpc: "Vpc") -> None:
    link = eni_link(vpc)
    former = [
        messages.set_link(link.ifindex, up=True),
        messages.add_address(link.ifindex, IPv4Interface("10.0.0.20/24")),
    ]
    vpc.node.host.execute(former)
    assert any(route.oif == link.ifindex for route in vpc.node.host.list_routes(table=254))
    vpc.node.own.set_up_eni(vpc.secondary, link, 9001)
    main = vpc.node.host.list_routes(table=254)
    assert not any(route.oif == link.ifindex for route in main)
    assert any(route.destination == IPv4Network("10.0.0.0/24") for route in main)  # the primary's is kept


def test_other_addresses_of_the_link_are_removed(vpc: "Vpc") -> None:
    link = eni_link(vpc)
    for address in ("10.0.0.99/24", "10.0.0.20/24", "10.0.0.98/24"):
        vpc.node.host.execute([messages.add_address(link.ifindex, IPv4Interface(address))])
    vpc.node.own.set_up_eni(vpc.secondary, link, 9001)
    assert addresses(vpc, link.ifindex) == ["10.0.0.20/24"]


def test_repeated_set_up_changes_nothing(vpc: "Vpc") -> None:
    link = eni_link(vpc)
    vpc.node.own.set_up_eni(vpc.secondary, link, 9001)
    with vpc.node.netns.run(EventSocket.open, [uapi.RTNLGRP_IPV4_IFADDR]) as events:
        vpc.node.own.set_up_eni(vpc.secondary, link, 9001)
        assert events.drain() == ([], False)


def test_an_mtu_that_the_driver_refuses_is_named(vpc: "Vpc") -> None:
    with pytest.raises(KernelError, match=r"change link .*EINVAL"):
        vpc.node.own.set_up_eni(vpc.secondary, eni_link(vpc), 1_000_000)


def test_the_primary_eni_is_not_set_up_as_a_secondary_one(vpc: "Vpc") -> None:
    with pytest.raises(ValueError, match="eni-2"):
        vpc.node.own.set_up_eni(replace(vpc.secondary, device_number=0), eni_link(vpc), 9001)


def test_tear_down_empties_the_table_with_or_without_the_link(vpc: "Vpc") -> None:
    link = eni_link(vpc)
    vpc.node.own.set_up_eni(vpc.secondary, link, 9001)
    vpc.node.own.tear_down_eni(vpc.secondary, link.ifindex)
    assert vpc.node.host.list_routes(table=2) == []
    assert vpc.node.desired.routes == {}
    vpc.node.own.set_up_eni(vpc.secondary, link, 9001)
    vpc.node.host.execute([messages.delete_link(link.ifindex)])
    vpc.node.own.tear_down_eni(vpc.secondary, link.ifindex)
    vpc.node.own.tear_down_eni(vpc.secondary)


def test_mark_rule_is_there_once_or_not_at_all(node: "Node") -> None:
    def at_1024() -> list[Rule]:
        return [rule for rule in node.host.list_rules() if rule.priority == 1024]

    node.host.execute([messages.add_rule(Rule(1024, fwmark=0x40, fwmask=0x40))])
    for _ in range(2):
        node.own.ensure_mark_rule(0x80, wanted=True)
        assert at_1024() == [Rule(1024, fwmark=0x80, fwmask=0x80)]
    node.own.ensure_mark_rule(0x80, wanted=False)
    assert at_1024() == []
    assert node.desired.rules == set()


def test_external_service_rules_follow_the_setting(node: "Node") -> None:
    def destinations() -> set[str]:
        return {str(rule.destination) for rule in node.host.list_rules() if rule.priority == 1535}

    node.own.ensure_external_services([IPv4Network("198.51.100.0/24"), IPv4Network("192.0.2.1/32")])
    assert destinations() == {"198.51.100.0/24", "192.0.2.1/32"}
    node.own.ensure_external_services([IPv4Network("192.0.2.1/32")])
    assert destinations() == {"192.0.2.1/32"}
    assert {str(rule.destination) for rule in node.desired.rules} == {"192.0.2.1/32"}


@pytest.fixture
def link_events(node: "Node") -> Iterator[EventSocket]:
    with node.netns.run(EventSocket.open, [uapi.RTNLGRP_LINK]) as events:
        yield events


def test_waiting_finds_a_link_that_is_there(node: "Node", link_events: EventSocket) -> None:
    node.host.execute([messages.add_veth("ens6", peer_name="far", mac=MAC)])
    link = asyncio.run(wait_for_link(MAC.upper(), node.host, link_events, timeout_seconds=0.01))
    assert link.name == "ens6"


def test_waiting_ends_when_the_link_appears(node: "Node", link_events: EventSocket) -> None:
    def attach() -> None:
        with node.netns.route_socket() as sock:
            sock.execute([messages.add_link("other", "bridge"), messages.add_veth("ens6", peer_name="far", mac=MAC)])

    timer = threading.Timer(0.05, attach)
    timer.start()
    link = asyncio.run(wait_for_link(MAC, node.host, link_events, timeout_seconds=5))
    timer.join()
    assert link.name == "ens6"


def test_waiting_ends_at_its_deadline(node: "Node", link_events: EventSocket) -> None:
    with pytest.raises(KernelError, match=f"no link with hardware address {MAC} appeared within 0.02 s") as caught:
        asyncio.run(wait_for_link(MAC, node.host, link_events, timeout_seconds=0.02))
    assert caught.value.errno == errno.ENODEV


def test_a_bridge_with_the_address_of_an_eni_is_not_taken_for_it(node: "Node", link_events: EventSocket) -> None:
    node.host.execute([messages.add_link("br0", "bridge", mac=MAC, ifindex=20)])
    node.host.execute([messages.add_veth("ens6", peer_name="far", mac=MAC, ifindex=21, peer_ifindex=22)])
    assert asyncio.run(wait_for_link(MAC, node.host, link_events, timeout_seconds=1)).name == "ens6"
