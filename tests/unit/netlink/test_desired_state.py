"""What is wanted, and which events put it in doubt."""

from ipaddress import IPv4Address, ip_address, ip_network

import pytest

from vpc_cni.netlink import messages, uapi
from vpc_cni.netlink.desired import DesiredState, route_key
from vpc_cni.netlink.objects import ANY_IPV4, Neighbour, Route, Rule
from vpc_cni.netlink.suspects import Suspects, note_event
from vpc_cni.netlink.uapi import InetConf, NeighbourState, Scope
from vpc_cni.netlink.wire import Answer, Message, u32

POD = IPv4Address("10.0.1.1")
ROUTE = Route(ip_network("10.0.1.1/32"), oif=7, scope=Scope.LINK)
TO_POD, FROM_POD = Rule(512, destination=ip_network("10.0.1.1/32")), Rule(1536, 3, source=ip_network("10.0.1.1/32"))
NEIGHBOUR = Neighbour(7, POD, "02:00:00:00:00:01")


def one_pod() -> DesiredState:
    desired = DesiredState()
    desired.set_link(7, {InetConf.FORWARDING: 1, InetConf.RP_FILTER: 2})
    desired.add_routes([ROUTE])
    desired.add_pod(POD, (TO_POD, FROM_POD))
    desired.add_neighbour(NEIGHBOUR)
    return desired


def test_a_pod_removed_leaves_nothing() -> None:
    desired = one_pod()
    desired.forget_link(7)
    desired.remove_pod(POD)
    desired.remove_pod(POD)
    assert (desired.routes, desired.rules, desired.neighbours) == ({}, set(), {})
    assert (desired.settings, desired.links_up) == ({}, set())


def test_a_pod_added_again_has_its_new_rules_only() -> None:
    desired = one_pod()
    moved = Rule(1536, 4, source=ip_network("10.0.1.1/32"))
    desired.add_pod(POD, (TO_POD, moved))
    assert desired.rules == {TO_POD, moved}


def test_a_route_moved_to_another_link_survives_the_old_one() -> None:
    desired = one_pod()
    moved = Route(ROUTE.destination, oif=8, scope=Scope.LINK)
    desired.add_routes([moved])
    desired.forget_link(7)
    assert desired.routes == {route_key(moved): moved}
    assert desired.routes_of(8) == [moved]


def event(request: Message, kind: int) -> Answer:
    """Return the announcement of what a request does: the kernel uses the same encoding."""
    return Answer(kind, 0, 0, request.body)


def link_event(kind: int, ifindex: int, *, flags: int, change: int, family: int = 0) -> Answer:
    return Answer(kind, 0, 0, messages.IFINFOMSG.pack(family, 0, 0, ifindex, flags, change))


def netconf_event(ifindex: int, name: int, value: int) -> Answer:
    return Answer(uapi.RTM_NEWNETCONF, 0, 0, b"\2\0\0\0" + u32(1, ifindex & 0xFFFFFFFF) + u32(name, value))


OTHER_ROUTE = Route(ROUTE.destination, oif=9, scope=Scope.LINK)
DEFAULT = Route(ANY_IPV4, oif=7, gateway=ip_address("169.254.1.1"))
SUSPICIOUS = {
    "route deleted": (event(messages.delete_route(ROUTE), uapi.RTM_DELROUTE), Suspects(routes={route_key(ROUTE)})),
    "route replaced": (
        event(messages.add_route(OTHER_ROUTE), uapi.RTM_NEWROUTE),
        Suspects(changed_routes={route_key(ROUTE)}),
    ),
    "rule deleted": (event(messages.delete_rule(FROM_POD), uapi.RTM_DELRULE), Suspects(rules={FROM_POD})),
    "neighbour deleted": (
        event(messages.delete_neighbour(NEIGHBOUR), uapi.RTM_DELNEIGH),
        Suspects(neighbours={(7, POD)}),
    ),
    "neighbour changed": (
        event(messages.add_neighbour(Neighbour(7, POD, "02:00:00:00:00:02")), uapi.RTM_NEWNEIGH),
        Suspects(changed_neighbours={(7, POD)}),
    ),
    "neighbour no longer permanent": (
        event(messages.add_neighbour(Neighbour(7, POD, NEIGHBOUR.mac, NeighbourState.STALE)), uapi.RTM_NEWNEIGH),
        Suspects(changed_neighbours={(7, POD)}),
    ),
    "link down": (link_event(uapi.RTM_NEWLINK, 7, flags=0, change=1), Suspects(links_down={7})),
    "link gone": (link_event(uapi.RTM_DELLINK, 7, flags=0, change=0xFFFFFFFF), Suspects(links_gone={7})),
    "filter strict": (netconf_event(7, uapi.NETCONFA_RP_FILTER, 1), Suspects(settings={7})),
    "forwarding off": (netconf_event(7, uapi.NETCONFA_FORWARDING, 0), Suspects(settings={7})),
    "all forwarding off": (netconf_event(-1, uapi.NETCONFA_FORWARDING, 0), Suspects(forwarding_off=True)),
}


@pytest.mark.parametrize(("announced", "expected"), SUSPICIOUS.values(), ids=SUSPICIOUS.keys())
def test_an_event_about_a_wanted_object_makes_it_suspect(announced: Answer, expected: Suspects) -> None:
    suspects = Suspects()
    note_event(suspects, one_pod(), announced)
    assert suspects == expected
    assert suspects
    nothing_wanted = Suspects()
    note_event(nothing_wanted, DesiredState(), announced)
    assert bool(nothing_wanted) == expected.forwarding_off


HARMLESS = {
    "own route announced": event(messages.add_route(ROUTE), uapi.RTM_NEWROUTE),
    "other route deleted": event(messages.delete_route(DEFAULT), uapi.RTM_DELROUTE),
    "local route deleted": event(messages.delete_route(Route(ROUTE.destination, table=255, oif=7)), uapi.RTM_DELROUTE),
    "own rule announced": event(messages.add_rule(TO_POD), uapi.RTM_NEWRULE),
    "rule of another table deleted": event(
        messages.delete_rule(Rule(1536, 4, source=ip_network("10.0.1.1/32"))), uapi.RTM_DELRULE
    ),
    "own neighbour announced": event(messages.add_neighbour(NEIGHBOUR), uapi.RTM_NEWNEIGH),
    "proxy entry deleted": event(messages.delete_neighbour(Neighbour(7, POD, proxy=True)), uapi.RTM_DELNEIGH),
    "link created down": link_event(uapi.RTM_NEWLINK, 7, flags=0, change=0xFFFFFFFF),
    "link up": link_event(uapi.RTM_NEWLINK, 7, flags=1, change=1),
    "link changed while down": link_event(uapi.RTM_NEWLINK, 7, flags=0, change=0),
    "link left a bridge": link_event(uapi.RTM_DELLINK, 7, flags=0, change=0, family=7),
    "filter as wanted": netconf_event(7, uapi.NETCONFA_RP_FILTER, 2),
    "forwarding on": netconf_event(-1, uapi.NETCONFA_FORWARDING, 1),
}


@pytest.mark.parametrize("announced", HARMLESS.values(), ids=HARMLESS.keys())
def test_other_events_make_nothing_suspect(announced: Answer) -> None:
    suspects = Suspects()
    note_event(suspects, one_pod(), announced)
    assert not suspects
