"""The pool: who gets which address, when one is usable again, and how addresses go back to EC2."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from vpc_cni.errors import InternalError
from vpc_cni.ipam import AddressState, EniState, Growth, Pool, QuarantineReason
from vpc_cni.model import Allocation, Cooling, Eni, PodIdentity, SandboxKey

CIDR = IPv4Network("10.0.0.0/16")
POD = PodIdentity("default", "web-0")


def key(name: str) -> SandboxKey:
    return SandboxKey("aws-cni", name, "eth0")


def ip(last: int, block: int = 0) -> IPv4Address:
    return CIDR.network_address + 256 * block + last


def eni(number: int, *last: int, is_trunk: bool = False) -> Eni:
    return Eni(
        eni_id=f"eni-{number}",
        mac=f"02:00:00:00:00:{number:02x}",
        device_number=number,
        subnet_id="subnet-0",
        subnet_cidr=CIDR,
        primary_address=ip(1, number),
        addresses=tuple(ip(each, number) for each in last),
        is_trunk=is_trunk,
    )


def pool_of(*enis: Eni, cooldown: float = 30.0) -> Pool:
    pool = Pool(cooldown)
    for each in enis:
        pool.add_eni(each, now=0.0)
    return pool


def assign(pool: Pool, name: str, now: float = 0.0) -> Allocation:
    allocation = pool.assign(key(name), POD, now, allocated_at_ns=7)
    assert allocation is not None
    return allocation


class TestAssign:
    def test_gives_an_address_with_all_that_wiring_needs(self) -> None:
        pool = pool_of(eni(1, 10))
        assert assign(pool, "a") == Allocation(key("a"), ip(10, 1), "eni-1", 1, POD, 7)

    def test_same_key_gets_the_same_answer(self) -> None:
        pool = pool_of(eni(0, 10, 11))
        assert assign(pool, "a") is assign(pool, "a", now=5.0)
        assert len(pool.allocations()) == 1

    def test_none_when_nothing_is_free(self) -> None:
        pool = pool_of(eni(0, 10))
        assign(pool, "a")
        assert pool.assign(key("b"), POD, 0.0, allocated_at_ns=0) is None

    def test_never_used_addresses_come_first_in_ascending_order(self) -> None:
        pool = pool_of(eni(0, 12, 10, 11))
        assert [assign(pool, name).address for name in "abc"] == [ip(10), ip(11), ip(12)]

    def test_longest_rested_address_comes_before_others_that_were_used(self) -> None:
        pool = pool_of(eni(0, 10, 11, 12))
        for name in "abc":
            assign(pool, name)
        for name, at in (("b", 1.0), ("c", 2.0), ("a", 3.0)):
            pool.release(key(name), at, link_gone=True)
        assert [assign(pool, name, now=100.0).address for name in "xyz"] == [ip(11), ip(12), ip(10)]

    def test_never_used_address_comes_before_a_rested_one(self) -> None:
        pool = pool_of(eni(0, 10, 11))
        assign(pool, "a")
        pool.release(key("a"), 0.0, link_gone=True)
        assert assign(pool, "b", now=1000.0).address == ip(11)

    def test_enis_that_stay_are_filled_first(self) -> None:
        pool = pool_of(eni(2, 10), eni(1, 10, is_trunk=True), eni(0, 10))
        assert [assign(pool, name).eni_id for name in "abc"] == ["eni-0", "eni-1", "eni-2"]

    def test_fullest_eni_is_filled_first(self) -> None:
        pool = pool_of(eni(0, 10), eni(1, 10, 11), eni(2, 10, 11))
        assert [assign(pool, name).eni_id for name in "abc"] == ["eni-0", "eni-1", "eni-1"]
        pool.release(key("b"), 0.0, link_gone=True)
        assert assign(pool, "d").eni_id == "eni-2"
        assert assign(pool, "e", now=50.0).eni_id == "eni-1"

    @pytest.mark.parametrize("state", [EniState.ATTACHING, EniState.DRAINING, EniState.DETACHING])
    def test_only_ready_enis_serve(self, state: EniState) -> None:
        pool = pool_of(eni(1, 10))
        pool.set_eni_state("eni-1", state)
        assert pool.assign(key("a"), POD, 0.0, allocated_at_ns=0) is None
        pool.set_eni_state("eni-1", EniState.READY)
        assert assign(pool, "a").eni_id == "eni-1"


class TestRelease:
    def test_address_needs_cooldown_and_link_gone(self) -> None:
        pool = pool_of(eni(0, 10))
        assign(pool, "a")
        assert pool.release(key("a"), 100.0) == Cooling(key("a"), ip(10), "eni-0", 130.0, link_gone=False)
        assert pool.assign(key("b"), POD, 500.0, allocated_at_ns=0) is None
        assert pool.confirm_link_gone(key("a")) == (ip(10),)
        assert assign(pool, "b", now=500.0).address == ip(10)

    def test_usable_at_the_very_end_of_the_cooldown_and_not_before(self) -> None:
        pool = pool_of(eni(0, 10))
        assign(pool, "a")
        pool.release(key("a"), 100.0, link_gone=True)
        assert pool.assign(key("b"), POD, 129.999, allocated_at_ns=0) is None
        assert assign(pool, "b", now=130.0).address == ip(10)

    def test_without_a_cooldown_the_link_alone_decides(self) -> None:
        pool = pool_of(eni(0, 10), cooldown=0.0)
        assign(pool, "a")
        pool.release(key("a"), 1.0)
        assert pool.assign(key("b"), POD, 1.0, allocated_at_ns=0) is None
        pool.confirm_link_gone(key("a"))
        assert assign(pool, "b", now=1.0).address == ip(10)

    def test_repeated_release_is_nothing(self) -> None:
        pool = pool_of(eni(0, 10))
        assign(pool, "a")
        assert pool.release(key("a"), 1.0) is not None
        assert pool.release(key("a"), 2.0) is None
        assert pool.release(key("never"), 2.0) is None

    def test_late_confirmation_of_another_sandbox_frees_nothing(self) -> None:
        pool = pool_of(eni(0, 10))
        assign(pool, "a")
        pool.release(key("a"), 0.0)
        assert pool.confirm_link_gone(key("b")) == ()
        assert pool.state(ip(10)) is AddressState.COOLING

    def test_one_address_of_a_key_that_was_added_again_can_be_confirmed_alone(self) -> None:
        pool = pool_of(eni(0, 10, 11))
        for _ in range(2):
            assign(pool, "a")
            pool.release(key("a"), 0.0)
        assert pool.confirm_link_gone(key("a"), ip(10)) == (ip(10),)
        assert pool.confirm_link_gone(key("a")) == (ip(11),)

    def test_abandoned_address_is_free_at_once(self) -> None:
        pool = pool_of(eni(0, 10))
        assign(pool, "a")
        assert pool.abandon(key("a"))
        assert not pool.abandon(key("a"))
        assert assign(pool, "b").address == ip(10)


class TestNextReadyAt:
    def test_is_the_earliest_cooldown_with_a_link_gone(self) -> None:
        pool = pool_of(eni(0, 10, 11, 12))
        for name in "abc":
            assign(pool, name)
        pool.release(key("a"), 1.0)
        pool.release(key("b"), 2.0, link_gone=True)
        pool.release(key("c"), 3.0, link_gone=True)
        assert pool.next_ready_at(4.0) == 32.0
        assert pool.next_ready_at(32.0) == 33.0
        assert pool.next_ready_at(33.0) is None

    def test_leaves_out_an_eni_that_drains(self) -> None:
        pool = pool_of(eni(0, 10), eni(1, 10))
        for name in "ab":
            assign(pool, name)
        pool.release(key("b"), 1.0, link_gone=True)
        pool.release(key("a"), 2.0, link_gone=True)
        pool.set_eni_state("eni-1", EniState.DRAINING)
        assert pool.next_ready_at(3.0) == 32.0
        pool.set_eni_state("eni-1", EniState.READY)
        assert pool.next_ready_at(3.0) == 31.0


class TestReleaseToEc2:
    def test_marked_addresses_are_not_handed_out(self) -> None:
        pool = pool_of(eni(0, 10, 11))
        pool.begin_release([ip(10)])
        assert assign(pool, "a").address == ip(11)
        assert pool.assign(key("b"), POD, 0.0, allocated_at_ns=0) is None

    def test_refused_release_makes_them_free_again(self) -> None:
        pool = pool_of(eni(0, 10))
        pool.begin_release([ip(10)])
        pool.cancel_release([ip(10)])
        assert assign(pool, "a").address == ip(10)

    def test_completed_release_forgets_them(self) -> None:
        pool = pool_of(eni(0, 10))
        pool.begin_release([ip(10)])
        pool.remove_addresses([ip(10)], now=1.0)
        assert pool.state(ip(10)) is None
        pool.cancel_release([ip(10)])
        assert pool.state(ip(10)) is None

    def test_all_or_none_when_one_is_not_free(self) -> None:
        pool = pool_of(eni(0, 10, 11))
        assign(pool, "a")
        with pytest.raises(InternalError, match=r"10\.0\.0\.10 must not be released: it is assigned"):
            pool.begin_release([ip(11), ip(10)])
        assert pool.state(ip(11)) is AddressState.FREE

    @pytest.mark.parametrize("link_gone", [True, False])
    def test_eni_with_a_cooling_address_does_not_detach(self, link_gone: bool) -> None:
        pool = pool_of(eni(1, 10))
        assign(pool, "a")
        pool.release(key("a"), 0.0, link_gone=link_gone)
        with pytest.raises(InternalError, match="eni-1 must not be released"):
            pool.set_eni_state("eni-1", EniState.DETACHING)

    def test_primary_eni_never_detaches(self) -> None:
        with pytest.raises(InternalError, match="eni-0 must not be released"):
            pool_of(eni(0, 10)).set_eni_state("eni-0", EniState.DETACHING)

    def test_removed_eni_takes_its_addresses_along(self) -> None:
        pool = pool_of(eni(0), eni(1, 10, 11))
        pool.set_eni_state("eni-1", EniState.DETACHING)
        pool.remove_eni("eni-1", now=1.0)
        assert pool.eni_ids() == ("eni-0",)
        assert list(pool.addresses()) == []
        pool.remove_eni("eni-1", now=2.0)


class TestAddressesLostAtEc2:
    def test_pod_keeps_an_address_that_ec2_took(self) -> None:
        pool = pool_of(eni(0, 10))
        allocation = assign(pool, "a")
        pool.remove_addresses([ip(10)], now=5.0)
        assert pool.get(key("a")) == allocation
        assert [each.reason for each in pool.quarantines()] == [QuarantineReason.NOT_IN_EC2]
        assert pool.release(key("a"), 6.0) is not None

    def test_cooldown_holds_when_ec2_gives_the_address_back(self) -> None:
        pool = pool_of(eni(0, 10))
        assign(pool, "a")
        pool.release(key("a"), 0.0, link_gone=True)
        pool.remove_addresses([ip(10)], now=1.0)
        pool.add_addresses("eni-0", [ip(10)], now=2.0)
        assert pool.assign(key("b"), POD, 29.0, allocated_at_ns=0) is None
        assert assign(pool, "b", now=30.0).address == ip(10)

    def test_cooldown_without_an_eni_is_forgotten_when_it_is_over(self) -> None:
        pool = pool_of(eni(0, 10, 11))
        assign(pool, "a")
        pool.release(key("a"), 0.0, link_gone=True)
        pool.quarantine(ip(10), QuarantineReason.KERNEL_REFUSED, 0.0)
        pool.resolve(ip(10))
        pool.remove_addresses([ip(10)], now=1.0)
        assert pool.coolings() != ()
        pool.view(now=31.0)
        assert pool.coolings() == ()
        assert pool.state(ip(10)) is None

    def test_address_that_moved_below_a_pod_is_quarantined(self) -> None:
        pool = pool_of(eni(0, 10), eni(1))
        assign(pool, "a")
        pool.add_addresses("eni-1", [ip(10)], now=1.0)
        (doubt,) = pool.quarantines()
        assert (doubt.reason, doubt.eni_id) == (QuarantineReason.OTHER_ENI, "eni-1")
        assert pool.addresses_of("eni-0") == ()


class TestQuarantine:
    def test_address_is_neither_handed_out_nor_given_back(self) -> None:
        pool = pool_of(eni(0, 10))
        pool.quarantine(ip(10), QuarantineReason.UNKNOWN_OWNER, 1.0)
        assert pool.assign(key("a"), POD, 1.0, allocated_at_ns=0) is None
        with pytest.raises(InternalError, match="it is quarantined"):
            pool.begin_release([ip(10)])

    def test_first_reason_stays(self) -> None:
        pool = pool_of(eni(0, 10))
        first = pool.quarantine(ip(10), QuarantineReason.UNKNOWN_OWNER, 1.0, "a link")
        assert pool.quarantine(ip(10), QuarantineReason.TWO_OWNERS, 2.0) == first

    def test_del_of_a_quarantined_pod_starts_its_cooldown_below(self) -> None:
        pool = pool_of(eni(0, 10))
        assign(pool, "a")
        pool.quarantine(ip(10), QuarantineReason.NOT_IN_EC2, 1.0)
        pool.release(key("a"), 2.0, link_gone=True)
        assert pool.state(ip(10)) is AddressState.QUARANTINED
        pool.resolve(ip(10))
        assert pool.state(ip(10)) is AddressState.COOLING
        assert assign(pool, "b", now=32.0).address == ip(10)

    def test_unknown_address_is_remembered_until_resolved(self) -> None:
        pool = pool_of(eni(0))
        pool.quarantine(ip(10), QuarantineReason.UNKNOWN_OWNER, 1.0)
        pool.add_addresses("eni-0", [ip(10)], now=2.0)
        assert pool.assign(key("a"), POD, 2.0, allocated_at_ns=0) is None
        pool.resolve(ip(10))
        assert assign(pool, "a", now=2.0).address == ip(10)

    def test_address_without_eni_and_holder_is_forgotten_when_resolved(self) -> None:
        pool = pool_of(eni(0))
        pool.quarantine(ip(10), QuarantineReason.UNKNOWN_OWNER, 1.0)
        pool.resolve(ip(10))
        assert list(pool.addresses()) == []


class TestRestore:
    def test_an_address_cannot_get_a_second_owner(self) -> None:
        pool = pool_of(eni(0, 10))
        allocation = assign(pool, "a")
        pool.restore_allocation(allocation, now=0.0)
        with pytest.raises(InternalError, match="cannot restore"):
            pool.restore_allocation(Allocation(key("b"), ip(10), "eni-0", 0, POD, 0), now=0.0)
        with pytest.raises(InternalError, match="cannot restore"):
            pool.restore_allocation(Allocation(key("a"), ip(11), "eni-0", 0, POD, 0), now=0.0)
        with pytest.raises(InternalError, match="cannot restore"):
            pool.restore_cooling(Cooling(key("b"), ip(10), "eni-0", 5.0), now=0.0)

    def test_unknown_address_and_eni_are_bugs_of_the_caller(self) -> None:
        pool = pool_of(eni(0))
        with pytest.raises(InternalError, match="does not know ENI eni-9"):
            pool.add_addresses("eni-9", [ip(10)], now=0.0)
        with pytest.raises(InternalError, match=r"does not know address 10\.0\.0\.10"):
            pool.begin_release([ip(10)])


class TestView:
    def test_counts_states_and_growth(self) -> None:
        pool = pool_of(eni(0, 10, 11, 12, 13, 14))
        for name in "ab":
            assign(pool, name)
        pool.release(key("a"), 10.0, link_gone=True)
        pool.begin_release([ip(13)])
        pool.quarantine(ip(14), QuarantineReason.TWO_OWNERS, 10.0)
        pool.start_growth(Growth("t1", 3, "eni-0"))
        pool.start_growth(Growth("t2", 4, device_number=1))
        view = pool.view(now=20.0)
        (only,) = view.enis
        assert (only.assigned, only.cooling, only.releasing, only.quarantined, only.growing) == (1, 1, 1, 1, 3)
        assert [item.address for item in only.free] == [ip(12)]
        assert (only.held, only.slots_used) == (3, 8)
        assert view.creating == (Growth("t2", 4, device_number=1),)
        assert view.next_ready_at == 40.0

    def test_finished_growth_no_longer_counts(self) -> None:
        pool = pool_of(eni(0))
        pool.start_growth(Growth("t1", 3, "eni-0"))
        pool.start_growth(Growth("t2", 4))
        for token in ("t1", "t2", "t2", "unknown"):
            pool.finish_growth(token)
        view = pool.view(now=0.0)
        assert (view.enis[0].growing, view.creating) == (0, ())

    def test_status_lines_name_owner_and_reason(self) -> None:
        pool = pool_of(eni(0, 10, 11))
        assign(pool, "a")
        pool.quarantine(ip(11), QuarantineReason.UNKNOWN_OWNER, 0.0, "link vethx")
        lines = {info.address: (info.state, info.owner, info.reason) for info in pool.addresses()}
        assert lines[ip(10)] == (AddressState.ASSIGNED, "aws-cni/a/eth0", "")
        assert lines[ip(11)] == (AddressState.QUARANTINED, "", "UnknownOwner: link vethx")


def test_a_freed_address_costs_the_same_after_a_thousand_releases() -> None:
    """The heaps shed what is stale: going back and forth does not make the pool grow."""
    pool = pool_of(eni(0, 10, 11, 12))
    for _ in range(1000):
        pool.begin_release([ip(10), ip(11)])
        pool.cancel_release([ip(10), ip(11)])
    slot = pool._slots["eni-0"]
    assert len(slot._by_rest) <= 2 * 3 + 16
