"""Pure decisions of the data plane: identities, rules, addresses, links, and the codec of objects."""

import itertools
import random
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpc_cni.model import MAIN_TABLE, Eni, SandboxKey
from vpc_cni.netlink import decode, messages, uapi
from vpc_cni.netlink.host import eni_interface, eni_routes, plan_addresses, plan_rules
from vpc_cni.netlink.identity import derive_mac, ifindex_source
from vpc_cni.netlink.link_wait import link_by_mac
from vpc_cni.netlink.objects import Address, Link, Neighbour, Route, Rule
from vpc_cni.netlink.uapi import Scope
from vpc_cni.netlink.wiring import pod_rules

KEY = SandboxKey("aws-cni", "c1", "eth0")


@given(st.integers(0, 2**32))
def test_indexes_are_unique_and_outside_the_taken_stretch(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - reproducible, no secret
    taken = {rng.randrange(1, 2**30) for _ in range(5)}
    drawn = list(itertools.islice(ifindex_source(taken, rng), 500))
    assert len(set(drawn)) == 500
    assert taken.isdisjoint(drawn)
    assert min(drawn) > 1_000_000
    assert max(drawn) < 2**31


def test_hardware_addresses_are_fixed_local_and_distinct() -> None:
    others = [SandboxKey("aws-cni", f"c{number}", "eth0") for number in range(200)]
    macs = {derive_mac(key, end) for key in others for end in ("host", "container")}
    assert len(macs) == 400
    assert derive_mac(KEY, "host") == derive_mac(KEY, "host")
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs)  # local, not a group


def test_pods_of_the_primary_eni_have_one_rule_others_two() -> None:
    address = IPv4Address("10.0.1.1")
    assert [rule.priority for rule in pod_rules(address, MAIN_TABLE)] == [512]
    assert [(rule.priority, rule.table) for rule in pod_rules(address, 3)] == [(512, 254), (1536, 3)]


RULES = st.sampled_from([Rule(512, destination=ip_network(f"10.0.1.{i}/32")) for i in range(4)])


@given(st.lists(RULES, max_size=8), st.frozensets(RULES))
def test_rule_plan_leaves_one_of_each_wanted_rule(present: list[Rule], wanted: frozenset[Rule]) -> None:
    state = Counter(present)
    for request in plan_rules(present, wanted):
        rule = decode.parse_rule(request.body)
        if request.type == uapi.RTM_NEWRULE:
            assert state[rule] == 0
            state[rule] += 1
        else:
            state[rule] -= 1
    assert +state == Counter(wanted)


def address(text: str, scope: int = Scope.UNIVERSE) -> Address:
    return Address(3, ip_interface(text), scope)


WANTED = IPv4Interface("10.0.0.20/24")


@pytest.mark.parametrize(
    ("present", "labels"),
    [
        ([], ["add address 10.0.0.20/24 to link 3"]),
        ([address("10.0.0.20/24")], []),
        (
            [address("10.0.0.20/32")],
            ["remove address 10.0.0.20/32 from link 3", "add address 10.0.0.20/24 to link 3"],
        ),
        (
            [address("10.0.0.9/24"), address("10.0.0.20/24")],
            ["remove address 10.0.0.9/24 from link 3", "add address 10.0.0.20/24 to link 3"],
        ),
        ([address("169.254.9.9/16", Scope.LINK), address("10.0.0.20/24")], []),
    ],
    ids=["none", "right", "wrong mask", "one too many", "link scope is not ours"],
)
def test_address_plan(present: list[Address], labels: list[str]) -> None:
    assert [request.label for request in plan_addresses(present, 3, WANTED)] == labels


def test_an_enis_table_leads_to_its_gateway_first() -> None:
    eni = Eni("eni-2", "02:00:00:00:00:01", 2, "subnet-1", ip_network("10.0.4.0/22"), IPv4Address("10.0.5.9"))
    gateway, default = eni_routes(eni, 4)
    assert (str(gateway.destination), gateway.table, gateway.oif, gateway.scope) == ("10.0.4.1/32", 3, 4, Scope.LINK)
    assert (str(default.destination), default.table, str(default.gateway)) == ("0.0.0.0/0", 3, "10.0.4.1")
    assert str(eni_interface(eni)) == "10.0.5.9/22"


def test_the_link_of_an_eni_is_the_one_that_is_not_stacked() -> None:
    mac = "02:0a:00:00:00:01"
    links = [
        Link(9, "vlan.eth.1", mac=mac, kind="vlan"),
        Link(4, "ens6", mac=mac),
        Link(3, "br0", mac=mac, kind="bridge"),
        Link(2, "ens5", mac="02:0a:00:00:00:02"),
    ]
    found = link_by_mac(links, mac.upper())
    assert found is not None
    assert found.name == "ens6"
    assert link_by_mac(links, "02:0a:00:00:00:03") is None


ADDRESSES = st.ip_addresses()
NETWORKS = st.builds(
    lambda address, length: (
        ip_network((int(address), length % (address.max_prefixlen + 1)), strict=False)
        if address.version == 4
        else ip_network(f"{address}/{length % 129}", strict=False)
    ),
    ADDRESSES,
    st.integers(0, 128),
)


@given(NETWORKS, st.integers(1, 2**32 - 1), st.integers(1, 2**31 - 1), st.integers(0, 255), st.booleans())
def test_routes_survive_encoding(destination: object, table: int, oif: int, scope: int, onlink: bool) -> None:
    route = Route(destination, table, oif, scope=scope, onlink=onlink)  # type: ignore[arg-type]
    assert decode.parse_route(messages.add_route(route).body) == route


@given(NETWORKS, st.integers(0, 2**32 - 1), st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1))
def test_rules_survive_encoding(source: object, priority: int, table: int, mark: int) -> None:
    rule = Rule(priority, table, source=source, fwmark=mark, fwmask=mark, iif="eth0")  # type: ignore[arg-type]
    assert decode.parse_rule(messages.add_rule(rule).body) == rule


@given(ADDRESSES, st.binary(min_size=6, max_size=6), st.booleans())
def test_neighbours_survive_encoding(ip: object, mac: bytes, proxy: bool) -> None:
    entry = Neighbour(7, ip, mac.hex(":"), proxy=proxy)  # type: ignore[arg-type]
    assert decode.parse_neighbour(messages.add_neighbour(entry).body) == entry


def test_a_rule_with_unknown_selectors_is_not_taken_for_ours() -> None:
    rule = Rule(512, destination=ip_network("10.0.1.1/32"))
    with_ports = messages.add_rule(rule).body + messages.u32(23, 1)
    assert decode.parse_rule(with_ports) == replace(rule, other_selectors=frozenset((23,)))
