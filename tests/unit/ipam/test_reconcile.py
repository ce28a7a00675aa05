"""Every row of the agreement table, and what follows a restart."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from vpc_cni.ipam import (
    AddCommitted,
    AddIntent,
    AddressState,
    Checkpoint,
    CheckpointEntry,
    Claim,
    Ec2Intent,
    Ec2Operation,
    Ec2Outcome,
    KernelLink,
    KernelView,
    Pool,
    Quarantine,
    QuarantineReason,
    Reconciliation,
    Recorded,
    Released,
    fold,
    parse_alias,
    reconcile,
    recorded_in_checkpoint,
    recorded_in_journal,
    records_after_restart,
    restore_pool,
)
from vpc_cni.model import Allocation, Cooling, Eni, PodIdentity, SandboxKey, host_veth_name

NOW, COOLDOWN = 1000.0, 30.0
KEY, OTHER = SandboxKey("aws-cni", "c0", "eth0"), SandboxKey("aws-cni", "c1", "eth0")
POD = PodIdentity("default", "web-0", "u-1")
IP, IP2 = IPv4Address("10.0.1.10"), IPv4Address("10.0.1.11")


def eni(number: int, *addresses: IPv4Address) -> Eni:
    cidr = IPv4Network("10.0.0.0/16")
    mac, primary = f"02:00:00:00:00:{number:02x}", cidr.network_address + 60000 + number
    return Eni(f"eni-{number}", mac, number, "subnet-0", cidr, primary, addresses)


def claim(key: SandboxKey = KEY, address: IPv4Address = IP, **changes: object) -> Claim:
    return replace(Claim(Allocation(key, address, "eni-1", 1, POD, 7), "vethx", host_ifindex=5), **changes)


def link(ifindex: int = 5, alias: str = KEY.alias, address: IPv4Address | None = IP, name: str = "vethx") -> KernelLink:
    return KernelLink(ifindex, name, alias, address)


HERE = (eni(1, IP, IP2),)
NOWHERE = (eni(1),)


def judge(
    recorded: Recorded, enis: tuple[Eni, ...] = HERE, *links: KernelLink, ruled: tuple[IPv4Address, ...] = (IP,)
) -> Reconciliation:
    return reconcile(recorded, enis, KernelView(links, frozenset(ruled)), cooldown_seconds=COOLDOWN, now=NOW)


def reasons(outcome: Reconciliation) -> dict[IPv4Address, QuarantineReason]:
    return {quarantine.address: quarantine.reason for quarantine in outcome.quarantines}


class TestClaims:
    def test_three_views_agree(self) -> None:
        outcome = judge(Recorded((claim(),)), HERE, link())
        assert outcome.allocations == (Allocation(KEY, IP, "eni-1", 1, POD, 7),)
        assert outcome.holdings[0].link == link()
        assert (outcome.quarantines, outcome.coolings, outcome.remove_links, outcome.remove_rules) == ((), (), (), ())
        assert outcome.notes == ()

    def test_link_whose_route_is_missing_still_belongs_to_its_pod(self) -> None:
        assert judge(Recorded((claim(),)), HERE, link(address=None)).allocations != ()

    def test_sandbox_without_a_link_is_gone(self) -> None:
        outcome = judge(Recorded((claim(),)))
        assert outcome.allocations == ()
        assert outcome.coolings == (Cooling(KEY, IP, "eni-1", NOW + COOLDOWN, link_gone=True),)
        assert outcome.remove_rules == (IP,)

    def test_link_of_a_recreated_pod_with_the_same_name_is_not_the_old_sandboxes(self) -> None:
        outcome = judge(Recorded((claim(),)), HERE, link(alias=OTHER.alias, address=IP2))
        assert [allocation.key for allocation in outcome.allocations] == [OTHER]
        assert [cooling.key for cooling in outcome.coolings] == [KEY]

    def test_address_that_ec2_does_not_list_stays_with_its_pod(self) -> None:
        outcome = judge(Recorded((claim(),)), NOWHERE, link())
        assert [allocation.key for allocation in outcome.allocations] == [KEY]
        assert reasons(outcome) == {IP: QuarantineReason.NOT_IN_EC2}
        assert outcome.remove_rules == ()

    def test_address_on_another_eni_stays_with_its_pod(self) -> None:
        outcome = judge(Recorded((claim(),)), (eni(1), eni(2, IP)), link())
        assert outcome.allocations[0].eni_id == "eni-1"
        assert reasons(outcome) == {IP: QuarantineReason.OTHER_ENI}

    def test_sandbox_known_to_the_record_alone_rests_without_an_eni(self) -> None:
        outcome = judge(Recorded((claim(),)), NOWHERE)
        assert [cooling.address for cooling in outcome.coolings] == [IP]

    def test_unfinished_add_is_undone(self) -> None:
        outcome = judge(Recorded((claim(is_complete=False),)), HERE, link())
        assert outcome.allocations == ()
        assert outcome.remove_links == (link(),)
        assert outcome.coolings == (Cooling(KEY, IP, "eni-1", NOW + COOLDOWN, link_gone=False),)
        assert outcome.remove_rules == (IP,)

    def test_unfinished_add_keeps_a_link_that_serves_when_its_commit_may_be_among_the_missing(self) -> None:
        begun = Recorded((claim(is_complete=False),), is_whole=False)
        assert [each.allocation.key for each in judge(begun, HERE, link()).holdings] == [KEY]
        assert judge(begun, HERE, link(address=None)).allocations == ()

    @pytest.mark.parametrize("noted_ifindex", [0, 4, 5])
    def test_sandbox_that_was_added_again_has_the_link_that_serves(self, noted_ifindex: int) -> None:
        old, new = link(4, address=None), link(5, address=IP2)
        recorded = Recorded((claim(address=IP2, host_ifindex=noted_ifindex),), (Cooling(KEY, IP, "eni-1", 1010.0),))
        outcome = judge(recorded, HERE, old, new)
        assert [(each.allocation.address, each.link) for each in outcome.holdings] == [(IP2, new)]
        assert outcome.remove_links == (old,)
        assert outcome.coolings == (Cooling(KEY, IP, "eni-1", 1010.0, link_gone=False),)

    def test_two_sandboxes_that_both_serve_an_address_are_both_left_alone(self) -> None:
        mine, theirs = link(5), link(6, alias=OTHER.alias)
        outcome = judge(Recorded((claim(), claim(OTHER))), HERE, mine, theirs)
        assert (outcome.allocations, outcome.remove_links, outcome.coolings) == ((), (), ())
        assert reasons(outcome) == {IP: QuarantineReason.TWO_OWNERS}

    def test_of_two_claims_the_one_whose_link_serves_wins(self) -> None:
        mine, idle = link(5), link(6, alias=OTHER.alias, address=None)
        outcome = judge(Recorded((claim(), claim(OTHER))), HERE, mine, idle)
        assert [allocation.key for allocation in outcome.allocations] == [KEY]
        assert outcome.remove_links == (idle,)


class TestCoolings:
    COOLING = Cooling(KEY, IP, "eni-1", 1010.0)

    def test_goes_on_and_its_link_is_removed_first(self) -> None:
        outcome = judge(Recorded(coolings=(self.COOLING,)), HERE, link(address=None))
        assert outcome.coolings == (self.COOLING,)
        assert outcome.remove_links == (link(address=None),)
        assert outcome.remove_rules == (IP,)

    def test_goes_on_with_its_link_gone(self) -> None:
        assert judge(Recorded(coolings=(self.COOLING,))).coolings == (replace(self.COOLING, link_gone=True),)

    def test_that_is_over_ends_unless_its_link_is_there(self) -> None:
        over = replace(self.COOLING, until=NOW)
        assert judge(Recorded(coolings=(over,))).coolings == ()
        assert judge(Recorded(coolings=(over,)), HERE, link()).coolings == (over,)

    def test_is_remembered_while_ec2_does_not_list_the_address(self) -> None:
        assert judge(Recorded(coolings=(self.COOLING,)), NOWHERE).coolings != ()


class TestLinksOfNobody:
    def test_pod_that_kernel_and_ec2_know_is_adopted(self) -> None:
        outcome = judge(Recorded(), HERE, link())
        assert outcome.allocations == (Allocation(KEY, IP, "eni-1", 1, PodIdentity(), 0),)
        assert outcome.adopted == (KEY,)

    def test_pod_that_the_kernel_alone_knows_keeps_its_address_quarantined(self) -> None:
        outcome = judge(Recorded(), NOWHERE, link())
        assert [allocation.key for allocation in outcome.allocations] == [KEY]
        assert reasons(outcome) == {IP: QuarantineReason.NOT_IN_EC2}

    @pytest.mark.parametrize("alias", ["", "sha256:0123", "a bridge"])
    def test_link_without_a_sandbox_name_quarantines_its_address(self, alias: str) -> None:
        outcome = judge(Recorded(), HERE, link(alias=alias))
        assert (outcome.allocations, outcome.remove_links, outcome.remove_rules) == ((), (), ())
        assert reasons(outcome) == {IP: QuarantineReason.UNKNOWN_OWNER}

    def test_two_links_that_serve_one_address(self) -> None:
        outcome = judge(Recorded(), HERE, link(5), link(6, alias=OTHER.alias))
        assert reasons(outcome) == {IP: QuarantineReason.TWO_OWNERS}

    def test_remainder_of_a_del_is_removed(self) -> None:
        assert judge(Recorded(), HERE, link(address=None)).remove_links == (link(address=None),)

    def test_idle_link_is_left_alone_while_records_are_missing(self) -> None:
        assert judge(Recorded(is_whole=False), HERE, link(address=None)).remove_links == ()

    def test_idle_link_of_someone_else_is_left_alone(self) -> None:
        assert judge(Recorded(), HERE, link(alias="", address=None)).remove_links == ()


class TestTheRest:
    def test_addresses_that_only_ec2_knows_are_free(self) -> None:
        outcome = judge(Recorded(), ruled=())
        assert (outcome.allocations, outcome.coolings, outcome.quarantines) == ((), (), ())

    def test_rules_of_nobody_are_removed(self) -> None:
        assert judge(Recorded(), ruled=(IP2, IP)).remove_rules == (IP, IP2)

    def test_with_records_missing_they_rest_for_a_cooldown(self) -> None:
        outcome = judge(Recorded(is_whole=False))
        assert reasons(outcome) == dict.fromkeys((IP, IP2), QuarantineReason.UNKNOWN_PAST)
        later = Recorded(quarantines=tuple(replace(each, since=NOW - COOLDOWN) for each in outcome.quarantines))
        assert judge(later).resolved == (IP, IP2)

    def test_a_rest_that_has_begun_is_not_begun_again(self) -> None:
        resting = Quarantine(IP, "eni-1", QuarantineReason.UNKNOWN_PAST, 990.0)
        assert judge(Recorded(quarantines=(resting,), is_whole=False)).quarantines[0].since == 990.0

    def test_without_a_cooldown_nothing_rests(self) -> None:
        view = KernelView()
        outcome = reconcile(Recorded(is_whole=False), HERE, view, cooldown_seconds=0, now=NOW)
        assert outcome.quarantines == ()

    def test_address_whose_doubt_has_gone_rests_first(self) -> None:
        doubt = Quarantine(IP, "eni-1", QuarantineReason.TWO_OWNERS, 500.0)
        assert reasons(judge(Recorded(quarantines=(doubt,)))) == {IP: QuarantineReason.UNKNOWN_PAST}

    def test_late_answer_of_ec2_does_not_make_a_returned_address_free(self) -> None:
        state = fold((Ec2Outcome("t", Ec2Operation.UNASSIGN, done=True, eni_id="eni-1", addresses=(IP,)),))
        outcome = judge(recorded_in_journal(state, is_whole=True), ruled=())
        assert (outcome.releasing, outcome.quarantines) == ((IP,), ())
        assert fold(tuple(records_after_restart(outcome, state))).given_back == {IP: "eni-1"}

    def test_release_that_ec2_may_not_have_done_is_repeated(self) -> None:
        recorded = Recorded((claim(),), releasing=frozenset({IP, IP2, IPv4Address("10.0.9.9")}))
        assert judge(recorded, HERE, link()).releasing == (IP2,)


class TestTakeover:
    """The reference ran before us: its links have no alias, its file names no ENI."""

    ENTRY = CheckpointEntry(KEY, IP, PodIdentity("default", "web-0"), 7)
    NAME = host_veth_name("eni", PodIdentity("default", "web-0"), KEY)

    def recorded(self, *entries: CheckpointEntry) -> Recorded:
        return recorded_in_checkpoint(Checkpoint(entries or (self.ENTRY,)), "eni", Recorded((claim(OTHER, IP2),)))

    def test_pod_is_found_by_the_address_that_its_link_serves(self) -> None:
        outcome = judge(self.recorded(), HERE, link(alias="", name=self.NAME))
        assert outcome.allocations == (Allocation(KEY, IP, "eni-1", 1, self.ENTRY.pod, 7),)

    def test_pod_is_found_by_name_when_the_route_is_missing(self) -> None:
        assert judge(self.recorded(), HERE, link(alias="", name=self.NAME, address=None)).allocations != ()

    def test_stale_entry_of_a_recreated_pod_is_dropped(self) -> None:
        """Same pod name, so the same link name; the address tells them apart."""
        stale = replace(self.ENTRY, key=OTHER, address=IP2)
        outcome = judge(self.recorded(self.ENTRY, stale), HERE, link(alias="", name=self.NAME))
        assert [allocation.key for allocation in outcome.allocations] == [KEY]
        assert [cooling.address for cooling in outcome.coolings] == [IP2]

    def test_our_own_claims_do_not_count(self) -> None:
        assert judge(self.recorded(), HERE, link(alias="", name=self.NAME)).coolings == ()


class TestRestart:
    def test_pool_and_journal_say_the_same_afterwards(self) -> None:
        committed = AddCommitted.of(KEY, 5, "02:00:00:00:00:01", "02:00:00:00:00:02")
        state = fold(
            (
                AddIntent.of(claim().allocation, "vethx"),
                committed,
                Released.of(Cooling(OTHER, IP2, "eni-1", 1010.0)),
                Ec2Outcome("t1", Ec2Operation.CREATE, done=True, eni_id="eni-9"),
                Ec2Intent("t2", Ec2Operation.DETACH, "eni-8"),
            )
        )
        outcome = judge(recorded_in_journal(state, is_whole=True), HERE, link())
        again = fold(tuple(records_after_restart(outcome, state)))
        assert again.adds == state.adds
        assert again.coolings[IP2].cooling == Cooling(OTHER, IP2, "eni-1", 1010.0, link_gone=True)
        assert (again.loose_enis, again.ec2_steps) == (state.loose_enis, state.ec2_steps)
        pool = Pool(COOLDOWN)
        restore_pool(pool, HERE, outcome, NOW)
        assert pool.get(KEY) == claim().allocation
        assert pool.state(IP2) is AddressState.COOLING

    def test_commit_that_speaks_of_another_link_is_not_believed(self) -> None:
        committed = AddCommitted.of(KEY, 4, "02:00:00:00:00:01", "02:00:00:00:00:02")
        state = fold((AddIntent.of(claim().allocation, "vethx"), committed))
        outcome = judge(recorded_in_journal(state, is_whole=True), HERE, link(5))
        again = fold(tuple(records_after_restart(outcome, state)))
        assert again.adds[KEY].committed == AddCommitted.of(KEY, 5, "", "")

    def test_interrupted_release_is_marked_in_the_pool(self) -> None:
        step = Ec2Intent("t", Ec2Operation.UNASSIGN, "eni-1", addresses=(IP2,))
        outcome = judge(recorded_in_journal(fold((step,)), is_whole=True))
        pool = Pool(COOLDOWN)
        restore_pool(pool, HERE, outcome, NOW)
        assert pool.state(IP2) is AddressState.RELEASING


@pytest.mark.parametrize(
    ("alias", "key"),
    [(KEY.alias, KEY), ("", None), ("a/b", None), ("a/b/c/d", None), ("a//c", None), ("sha256:00", None)],
)
def test_alias_is_read_back(alias: str, key: SandboxKey | None) -> None:
    assert parse_alias(alias) == key
