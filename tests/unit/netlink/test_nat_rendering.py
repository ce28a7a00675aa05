"""The nftables table as text: which chains when, and what is in them."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from vpc_cni.netlink.nat import NatPlan, RandomPorts, render_replacement

PLAN = NatPlan("ens5", IPv4Address("10.0.0.10"), (IPv4Network("10.0.0.0/16"), IPv4Network("100.64.0.0/16")))
CHAINS = ("mark_node_port", "mark_outbound", "source_nat")


@pytest.mark.parametrize(
    ("external_snat", "node_port_support", "chains"),
    [
        (False, True, CHAINS),
        (False, False, ("mark_outbound", "source_nat")),
        (True, True, ("mark_node_port",)),
        (True, False, ()),
    ],
    ids=["both", "SNAT only", "node ports only", "nothing"],
)
def test_chains_follow_the_settings(external_snat: bool, node_port_support: bool, chains: tuple[str, ...]) -> None:
    plan = replace(PLAN, external_snat=external_snat, node_port_support=node_port_support)
    text = render_replacement(plan)
    assert tuple(name for name in CHAINS if f"chain {name} " in text) == chains
    assert text.startswith("add table ip vpc-cni\ndelete table ip vpc-cni\n")
    assert plan.needs_mark_rule == bool(chains)


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        (RandomPorts.PRNG, "snat to 10.0.0.10 fully-random\n"),
        (RandomPorts.HASHRANDOM, "snat to 10.0.0.10 random\n"),
        (RandomPorts.NONE, "snat to 10.0.0.10\n"),
    ],
)
def test_port_choice_is_a_flag_of_the_translation(ports: RandomPorts, words: str) -> None:
    assert words in render_replacement(replace(PLAN, random_ports=ports))


def test_networks_are_one_set_without_overlaps() -> None:
    plan = replace(PLAN, excluded_cidrs=(IPv4Network("10.0.7.0/24"), IPv4Network("192.168.0.0/17")))
    assert "elements = { 10.0.0.0/16, 100.64.0.0/16, 192.168.0.0/17 }" in render_replacement(plan)


def test_no_networks_make_an_empty_set() -> None:
    text = render_replacement(replace(PLAN, vpc_cidrs=()))
    assert "set untranslated" in text
    assert "elements" not in text


def test_mark_and_prefix_are_those_of_the_plan() -> None:
    text = render_replacement(replace(PLAN, mark=0x10000, veth_prefix="pod"))
    assert 'iifname "pod*" ct mark & 0x00010000 == 0x00010000 meta mark set meta mark | 0x00010000' in text
    assert "0x00000080" not in text
    assert "eni*" not in text


def test_the_same_plan_renders_the_same_text() -> None:
    reordered = replace(PLAN, vpc_cidrs=tuple(reversed(PLAN.vpc_cidrs)))
    assert render_replacement(PLAN) == render_replacement(reordered)
