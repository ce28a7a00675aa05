"""Restarts: whatever the three views say, nothing is given twice; wherever the agent is killed, it converges."""

import random
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ipam_strategies import CIDR, addresses, eni_ids, keys, make_eni, moments

from vpc_cni.ipam import (
    AddCommitted,
    AddIntent,
    AddressState,
    Claim,
    EniState,
    JournalState,
    KernelLink,
    KernelView,
    LinkGone,
    Pool,
    Quarantine,
    QuarantineReason,
    Reconciliation,
    Record,
    Recorded,
    Released,
    fold,
    reconcile,
    recorded_in_journal,
    records_after_restart,
    restore_pool,
)
from vpc_cni.model import Allocation, Cooling, Eni, PodIdentity, SandboxKey

COOLDOWN = 30.0
NOW = 1000.0

# -- any three views ----------------------------------------------------------------------------------------------

aliases = st.one_of(keys.map(lambda key: key.alias), st.just(""), st.just("sha256:abc"), st.just("someone else"))
claims = st.builds(
    Claim,
    st.builds(
        Allocation, keys, addresses, eni_ids | st.just(""), st.integers(-1, 3), st.just(PodIdentity()), st.just(0)
    ),
    st.sampled_from(["veth1", "veth2"]),
    st.booleans(),
    st.integers(0, 6),
)
doubts = st.builds(Quarantine, addresses, eni_ids, st.sampled_from(QuarantineReason), st.floats(900, 1000))
recorded_views = st.builds(
    Recorded,
    st.lists(claims, max_size=5).map(tuple),
    st.lists(st.builds(Cooling, keys, addresses, eni_ids, moments, st.booleans()), max_size=4).map(tuple),
    st.lists(doubts, max_size=3, unique_by=lambda doubt: doubt.address).map(tuple),
    st.frozensets(addresses, max_size=3),
    st.frozensets(addresses, max_size=2),
    st.booleans(),
)
links = st.lists(
    st.builds(
        KernelLink,
        st.integers(1, 6),
        st.sampled_from(["veth1", "veth2"]),
        aliases,
        st.none() | addresses,
    ),
    max_size=6,
    unique_by=lambda link: link.ifindex,
)
kernel_views = st.builds(KernelView, links.map(tuple), st.frozensets(addresses, max_size=4))


@st.composite
def eni_lists(draw: st.DrawFn) -> list[Eni]:
    listed = draw(st.lists(addresses, unique=True, max_size=10))
    cut = draw(st.integers(0, len(listed)))
    return [make_eni(0, tuple(listed[:cut]), "eni-a"), make_eni(1, tuple(listed[cut:]), "eni-b")]


@given(recorded_views, eni_lists(), kernel_views)
@settings(max_examples=200)
def test_nothing_has_two_owners_whatever_the_views_say(recorded: Recorded, enis: list[Eni], kernel: KernelView) -> None:
    outcome = reconcile(recorded, enis, kernel, cooldown_seconds=COOLDOWN, now=NOW)
    held = [allocation.address for allocation in outcome.allocations]
    cooling = [each.address for each in outcome.coolings]
    assert len(set(held)) == len(held)
    assert len({allocation.key for allocation in outcome.allocations}) == len(held)
    assert len(set(cooling)) == len(cooling)
    assert not set(held) & set(cooling)
    kept_links = {holding.link.ifindex for holding in outcome.holdings}
    removed_links = [link.ifindex for link in outcome.remove_links]
    assert len(kept_links) == len(held)
    assert len(set(removed_links)) == len(removed_links)
    assert not kept_links & set(removed_links)


@given(recorded_views, eni_lists(), kernel_views)
@settings(max_examples=200)
def test_an_address_that_a_link_serves_is_never_free(recorded: Recorded, enis: list[Eni], kernel: KernelView) -> None:
    outcome = reconcile(recorded, enis, kernel, cooldown_seconds=COOLDOWN, now=NOW)
    pool = Pool(COOLDOWN)
    restore_pool(pool, enis, outcome, NOW)
    served = {link.address for link in kernel.links if link.address is not None}
    free = {item.address for eni in pool.view(NOW).enis for item in eni.free}
    assert not served & free
    served_by_remainders = {link.address for link in outcome.remove_links}
    assert not [each for each in outcome.coolings if each.address in served_by_remainders and each.link_gone]


@given(recorded_views, eni_lists(), kernel_views)
@settings(max_examples=200)
def test_no_rule_of_an_address_in_use_is_removed(recorded: Recorded, enis: list[Eni], kernel: KernelView) -> None:
    outcome = reconcile(recorded, enis, kernel, cooldown_seconds=COOLDOWN, now=NOW)
    held = {allocation.address for allocation in outcome.allocations}
    doubtful = {quarantine.address for quarantine in outcome.quarantines}
    assert set(outcome.remove_rules) <= kernel.ruled - held - doubtful
    assert kernel.ruled - held - doubtful <= set(outcome.remove_rules)


@given(recorded_views, eni_lists(), kernel_views, st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_the_order_of_what_is_seen_does_not_matter(
    recorded: Recorded, enis: list[Eni], kernel: KernelView, shuffler: random.Random
) -> None:
    def shuffled(items: tuple[object, ...]) -> tuple[object, ...]:
        mixed = list(items)
        shuffler.shuffle(mixed)
        return tuple(mixed)

    # Two records of the same thing are resolved by their order, so each is unique here.
    claims = {(claim.allocation.address, claim.allocation.key): claim for claim in recorded.claims}
    coolings = {cooling.address: cooling for cooling in recorded.coolings}
    fixed = replace(recorded, claims=tuple(claims.values()), coolings=tuple(coolings.values()))
    mixed = replace(
        fixed,
        claims=shuffled(fixed.claims),
        coolings=shuffled(fixed.coolings),
        quarantines=shuffled(fixed.quarantines),
    )
    first = reconcile(fixed, enis, kernel, cooldown_seconds=COOLDOWN, now=NOW)
    second = reconcile(
        mixed, enis[::-1], KernelView(shuffled(kernel.links), kernel.ruled), cooldown_seconds=COOLDOWN, now=NOW
    )
    assert set(first.resolved) == set(second.resolved)
    assert (first.holdings, first.coolings, first.quarantines) == (second.holdings, second.coolings, second.quarantines)
    assert (first.remove_links, first.remove_rules) == (second.remove_links, second.remove_rules)


def cleaned(kernel: KernelView, outcome: Reconciliation) -> KernelView:
    left = tuple(link for link in kernel.links if link not in outcome.remove_links)
    return KernelView(left, kernel.ruled - set(outcome.remove_rules))


@given(recorded_views, eni_lists(), kernel_views)
@settings(max_examples=200)
def test_a_second_restart_finds_agreement(recorded: Recorded, enis: list[Eni], kernel: KernelView) -> None:
    """What the first restart wrote down and cleaned up needs no second judgement."""
    first = reconcile(recorded, enis, kernel, cooldown_seconds=COOLDOWN, now=NOW)
    state = fold(tuple(records_after_restart(first, JournalState())))
    again = reconcile(
        recorded_in_journal(state, is_whole=True), enis, cleaned(kernel, first), cooldown_seconds=COOLDOWN, now=NOW
    )
    assert {each.key: each.address for each in again.allocations} == {a.key: a.address for a in first.allocations}
    assert again.adopted == ()
    # What serves an address is never removed late; idle links may be, once nothing speaks for them any more.
    assert all(link.address is None for link in again.remove_links)
    assert {each.address for each in again.quarantines} == {each.address for each in first.quarantines}
    assert {each.address for each in again.coolings} == {c.address for c in first.coolings if c.until > NOW}


# -- a killed agent -----------------------------------------------------------------------------------------------


class Killed(Exception):
    """The agent died before the next effect."""


@dataclass
class Node:
    """What outlives an agent: journal, kernel and EC2. Every change of it is one effect, before which it may die."""

    enis: list[Eni]
    journal: list[Record] = field(default_factory=list)
    links: dict[int, KernelLink] = field(default_factory=dict)
    ruled: set[IPv4Address] = field(default_factory=set)
    effects_left: int = 10**9
    next_ifindex: int = 10

    def effect(self) -> None:
        if self.effects_left == 0:
            raise Killed
        self.effects_left -= 1

    def append(self, record: Record) -> None:
        self.effect()
        self.journal.append(record)

    def kernel(self) -> KernelView:
        return KernelView(tuple(self.links.values()), frozenset(self.ruled))

    def set_link(self, link: KernelLink) -> None:
        self.effect()
        self.links[link.ifindex] = link

    def remove_link(self, ifindex: int) -> None:
        self.effect()
        self.links.pop(ifindex, None)


@dataclass
class Agent:
    """The order of effects that the agent keeps: write down, then act."""

    node: Node
    pool: Pool
    now: float
    ends: dict[IPv4Address, float]

    @classmethod
    def start(cls, node: Node, now: float, ends: dict[IPv4Address, float]) -> "Agent":
        state = fold(tuple(node.journal))
        recorded = recorded_in_journal(state, is_whole=True)
        outcome = reconcile(recorded, node.enis, node.kernel(), cooldown_seconds=COOLDOWN, now=now)
        agent = cls(node, Pool(COOLDOWN), now, ends)
        restore_pool(agent.pool, node.enis, outcome, now)
        node.effect()
        node.journal = list(records_after_restart(outcome, state))
        for address in outcome.remove_rules:
            node.effect()
            node.ruled.discard(address)
        for link in outcome.remove_links:
            node.remove_link(link.ifindex)
            if link.address is not None:
                ends[link.address] = min(ends[link.address], now)
            for cooling in outcome.coolings:
                if cooling.key == link.key and agent.pool.confirm_link_gone(cooling.key, cooling.address):
                    node.append(LinkGone.of(cooling.key, cooling.address))
        return agent

    def add(self, key: SandboxKey) -> None:
        known = self.pool.get(key)
        allocation = self.pool.assign(key, PodIdentity(), self.now, allocated_at_ns=0)
        if allocation is None or known is not None:
            return
        address, ifindex = allocation.address, self.node.next_ifindex
        assert self.ends.get(address, 0.0) + COOLDOWN <= self.now, "given out before its cooldown was over"
        assert all(link.address != address for link in self.node.links.values()), "given out while a link serves it"
        self.node.next_ifindex += 1
        self.node.append(AddIntent.of(allocation, f"veth{ifindex}"))
        self.node.set_link(KernelLink(ifindex, f"veth{ifindex}", key.alias))
        self.node.effect()
        self.node.ruled.add(address)
        self.node.set_link(KernelLink(ifindex, f"veth{ifindex}", key.alias, address))
        self.ends[address] = float("inf")
        self.node.append(AddCommitted.of(key, ifindex, "", ""))

    def delete(self, key: SandboxKey) -> None:
        cooling = self.pool.release(key, self.now)
        if cooling is None:
            return
        self.node.append(Released.of(cooling))
        self.ends[cooling.address] = self.now
        link = next((each for each in self.node.links.values() if each.alias == key.alias), None)
        if link is not None:
            self.node.set_link(KernelLink(link.ifindex, link.name, link.alias))
        self.node.effect()
        self.node.ruled.discard(cooling.address)
        if link is not None:
            self.node.remove_link(link.ifindex)
        self.pool.confirm_link_gone(key)
        self.node.append(LinkGone.of(key, cooling.address))


def run(script: list[tuple[str, SandboxKey, float]], kills: list[int]) -> tuple[Node, Agent]:
    """Play ``script`` (ADD or DEL, key, seconds passing), killing the agent after each of ``kills`` effects."""
    node = Node([make_eni(0, tuple(CIDR.network_address + 10 + i for i in range(3)), "eni-a")])
    ends: dict[IPv4Address, float] = {}
    now, pending_kills = 100.0, list(kills)
    node.effects_left = pending_kills.pop(0) if pending_kills else 10**9
    agent: Agent | None = None
    steps = list(script)
    while True:
        try:
            agent = agent or Agent.start(node, now, ends)
            while steps:
                command, key, seconds = steps[0]
                agent.now = now = now + seconds
                agent.add(key) if command == "ADD" else agent.delete(key)
                steps.pop(0)
            return node, agent
        except Killed:
            # The runtime repeats what it got no answer for: the step stays. Links that served until now end here.
            steps = [(command, key, 0.0) for command, key, _ in steps[:1]] + steps[1:]
            for address in [each for each, end in ends.items() if end == float("inf")]:
                if all(link.address != address for link in node.links.values()):
                    ends[address] = now
            agent = None
            node.effects_left = pending_kills.pop(0) if pending_kills else 10**9


def assert_agreement(node: Node, agent: Agent) -> None:
    holdings = {each.key.alias: each.address for each in agent.pool.allocations()}
    assert {link.alias: link.address for link in node.links.values()} == holdings
    assert node.ruled == set(holdings.values())
    state = fold(tuple(node.journal))
    assert {key.alias: add.intent.address for key, add in state.adds.items()} == holdings
    assert all(add.committed is not None for add in state.adds.values())
    listed = {address for eni in node.enis for address in eni.addresses}
    known = {info.address for info in agent.pool.addresses() if info.state is not AddressState.QUARANTINED}
    assert known == listed


scripts = st.lists(
    st.tuples(st.sampled_from(["ADD", "DEL"]), keys, st.sampled_from([0.0, 1.0, 31.0])), min_size=1, max_size=12
)


@given(scripts, st.lists(st.integers(0, 12), max_size=6))
@settings(max_examples=200, deadline=None)
def test_killed_agents_converge(script: list[tuple[str, SandboxKey, float]], kills: list[int]) -> None:
    node, agent = run(script, kills)
    assert_agreement(node, agent)


KEY, OTHER = SandboxKey("net", "c0", "eth0"), SandboxKey("net", "c1", "eth0")


@pytest.mark.parametrize("kill_after", range(1, 18))
def test_killed_before_each_effect_of_a_pods_life(kill_after: int) -> None:
    life = [("ADD", KEY, 0.0), ("DEL", KEY, 5.0), ("ADD", OTHER, 1.0), ("ADD", KEY, 40.0)]
    node, agent = run(life, [kill_after])
    assert_agreement(node, agent)
    assert {allocation.key for allocation in agent.pool.allocations()} == {KEY, OTHER}
    assert agent.pool.eni_state("eni-a") is EniState.READY
