"""The difference between the wires that are and the wires that should be."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from vpc_cni.lab.fabric import EniPort, FabricOptions
from vpc_cni.lab.fabric.plan import (
    AnnounceRoutes,
    AttachPort,
    DetachPort,
    WithdrawRoutes,
    plan_ports,
    visible_ports,
)


def network(last):
    return IPv4Network(f"10.0.0.{last}/32")


PORT = EniPort(
    eni_id="eni-1",
    node="i-1",
    ifname="ens5",
    mac="0a:00:00:00:00:01",
    primary_address=IPv4Address("10.0.0.4"),
    gateway=IPv4Address("10.0.0.1"),
    routed=frozenset({network(5), network(6)}),
)
OTHER = replace(PORT, eni_id="eni-2", ifname="ens6", primary_address=IPv4Address("10.0.0.14"), routed=frozenset())


def test_a_new_port_is_attached_then_announced_whole():
    assert plan_ports({}, {"eni-1": PORT}) == [AttachPort(PORT), AnnounceRoutes(PORT, PORT.routed, primary=True)]


def test_a_new_port_that_does_not_forward_yet_is_only_attached():
    silent = replace(PORT, forwarding=False)
    assert plan_ports({}, {"eni-1": silent}) == [AttachPort(silent)]


def test_a_port_that_starts_to_forward_is_announced_whole():
    silent = replace(PORT, forwarding=False)
    assert plan_ports({"eni-1": silent}, {"eni-1": PORT}) == [AnnounceRoutes(PORT, PORT.routed, primary=True)]


def test_only_the_difference_of_addresses_is_announced_and_withdrawn():
    later = replace(PORT, routed=frozenset({network(6), network(7)}))
    assert plan_ports({"eni-1": PORT}, {"eni-1": later}) == [
        WithdrawRoutes(later, frozenset({network(5)})),
        AnnounceRoutes(later, frozenset({network(7)}), primary=False),
    ]


def test_an_address_that_moves_is_withdrawn_before_it_is_announced():
    giver, taker = replace(PORT, routed=frozenset()), replace(OTHER, routed=frozenset({network(5)}))
    plan = plan_ports({"eni-1": PORT, "eni-2": OTHER}, {"eni-2": taker, "eni-1": giver})
    assert [type(change) for change in plan] == [WithdrawRoutes, AnnounceRoutes]


def test_a_vanished_port_is_detached_before_another_takes_its_link_name():
    successor = replace(OTHER, ifname="ens5")
    plan = plan_ports({"eni-1": PORT}, {"eni-2": successor})
    assert [type(change) for change in plan] == [DetachPort, AttachPort, AnnounceRoutes]


@pytest.mark.parametrize("change", [{"node": "i-2"}, {"ifname": "ens9"}, {"mac": "0a:00:00:00:00:09"}])
def test_a_port_whose_link_differs_is_replaced(change):
    desired = replace(PORT, **change)
    assert plan_ports({"eni-1": PORT}, {"eni-1": desired}) == [
        DetachPort("eni-1"),
        AttachPort(desired),
        AnnounceRoutes(desired, PORT.routed, primary=True),
    ]


def test_a_public_address_needs_no_change_of_the_wire():
    assert plan_ports({"eni-1": PORT}, {"eni-1": replace(PORT, public_address=IPv4Address("198.18.0.1"))}) == []


DELAYS = FabricOptions(link_delay_seconds=2.0, packet_delay_seconds=3.0)


@pytest.mark.parametrize(
    ("now", "linked", "forwarding", "next_look"),
    [
        (100.0, False, False, 102.0),
        (101.9, False, False, 102.0),
        (102.0, True, False, 105.0),
        (104.9, True, False, 105.0),
        (105.0, True, True, None),
    ],
)
def test_a_port_appears_and_forwards_after_its_delays(now, linked, forwarding, next_look):
    visible, look_again = visible_ports({"eni-1": PORT}, {"eni-1": 100.0}, now, DELAYS)
    assert ("eni-1" in visible) is linked
    assert linked is False or visible["eni-1"].forwarding is forwarding
    assert look_again == next_look


def test_a_port_of_the_start_has_no_delay():
    visible, look_again = visible_ports({"eni-1": PORT}, {}, 100.0, DELAYS)
    assert visible == {"eni-1": PORT}
    assert look_again is None
