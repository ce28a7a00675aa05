"""The pool against EC2 and the kernel while the agent runs: changes by others, late answers, doubts that end."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from vpc_cni.ipam import (
    AddressState,
    EniState,
    KernelLink,
    KernelView,
    Pool,
    PoolSync,
    QuarantineReason,
    apply_sync,
    plan_sync,
    review_quarantines,
)
from vpc_cni.model import Eni, PodIdentity, SandboxKey

KEY = SandboxKey("aws-cni", "c0", "eth0")
IP, IP2, IP3 = (IPv4Address(f"10.0.1.{last}") for last in (10, 11, 12))
COOLDOWN = 30.0


def eni(number: int, *addresses: IPv4Address) -> Eni:
    cidr = IPv4Network("10.0.0.0/16")
    mac, primary = f"02:00:00:00:00:{number:02x}", cidr.network_address + 60000 + number
    return Eni(f"eni-{number}", mac, number, "subnet-0", cidr, primary, addresses)


@pytest.fixture
def pool() -> Pool:
    pool = Pool(COOLDOWN)
    pool.add_eni(eni(0, IP, IP2), now=0.0)
    pool.assign(KEY, PodIdentity(), 0.0, allocated_at_ns=0)
    return pool


class TestSync:
    def test_agreement_is_empty(self, pool: Pool) -> None:
        assert not plan_sync(pool, [eni(0, IP2, IP)], asked_at=10.0, now=11.0)

    def test_what_ec2_gained_is_added(self, pool: Pool) -> None:
        sync = plan_sync(pool, [eni(0, IP, IP2, IP3), eni(1)], asked_at=10.0, now=11.0)
        assert sync == PoolSync(new_enis=(eni(1),), gained=(("eni-0", (IP3,)),))
        apply_sync(pool, sync, now=11.0)
        assert pool.state(IP3) is AddressState.FREE

    def test_what_ec2_lost_leaves_unless_a_pod_has_it(self, pool: Pool) -> None:
        sync = plan_sync(pool, [eni(0)], asked_at=10.0, now=11.0)
        assert sync == PoolSync(lost=(IP, IP2))
        apply_sync(pool, sync, now=11.0)
        assert pool.state(IP2) is None
        assert pool.state(IP) is AddressState.QUARANTINED
        assert pool.get(KEY) is not None

    def test_eni_that_ec2_lost_leaves(self, pool: Pool) -> None:
        apply_sync(pool, plan_sync(pool, [], asked_at=10.0, now=11.0), now=11.0)
        assert pool.eni_ids() == ()
        assert pool.state(IP) is AddressState.QUARANTINED

    def test_swap_of_equal_size_is_seen(self, pool: Pool) -> None:
        sync = plan_sync(pool, [eni(0, IP, IP3)], asked_at=10.0, now=11.0)
        assert sync == PoolSync(gained=(("eni-0", (IP3,)),), lost=(IP2,))

    def test_answer_that_is_older_than_an_address_does_not_take_it(self, pool: Pool) -> None:
        pool.add_addresses("eni-0", [IP3], now=10.5)
        pool.add_eni(eni(1), now=10.5)
        assert not plan_sync(pool, [eni(0, IP, IP2)], asked_at=10.0, now=11.0)

    def test_eni_gains_what_an_answer_lists_however_new_it_is(self, pool: Pool) -> None:
        pool.add_eni(eni(1), now=10.5)
        sync = plan_sync(pool, [eni(0, IP, IP2), eni(1, IP3)], asked_at=10.0, now=11.0)
        assert sync == PoolSync(gained=(("eni-1", (IP3,)),))

    def test_late_answer_does_not_bring_back_what_was_given_back(self, pool: Pool) -> None:
        pool.begin_release([IP2])
        assert not plan_sync(pool, [eni(0, IP, IP2)], asked_at=10.0, now=11.0)
        pool.remove_addresses([IP2], now=12.0)
        assert not plan_sync(pool, [eni(0, IP, IP2)], asked_at=13.0, now=71.9)
        assert plan_sync(pool, [eni(0, IP, IP2)], asked_at=71.0, now=72.0).gained == (("eni-0", (IP2,)),)

    def test_late_answer_does_not_bring_back_an_eni(self, pool: Pool) -> None:
        pool.add_eni(eni(1, IP3), now=1.0)
        pool.set_eni_state("eni-1", EniState.DETACHING)
        listed = [eni(0, IP, IP2), eni(1, IP3)]
        assert not plan_sync(pool, listed, asked_at=10.0, now=10.0)
        pool.remove_eni("eni-1", now=11.0)
        assert not plan_sync(pool, listed, asked_at=12.0, now=12.0)
        assert plan_sync(pool, listed, asked_at=71.0, now=71.0).new_enis == (eni(1, IP3),)

    def test_address_that_ec2_gives_again_is_no_longer_distrusted(self, pool: Pool) -> None:
        pool.remove_addresses([IP2], now=12.0)
        pool.add_addresses("eni-0", [IP2], now=13.0)
        assert not pool.was_removed_since(IP2, 0.0)

    def test_enis_on_their_way_are_left_to_whoever_moves_them(self, pool: Pool) -> None:
        pool.add_eni(eni(1, IP3), now=1.0, state=EniState.ATTACHING)
        assert not plan_sync(pool, [eni(0, IP, IP2)], asked_at=10.0, now=11.0)

    def test_removals_are_forgotten_after_two_minutes(self, pool: Pool) -> None:
        pool.remove_addresses([IP2], now=12.0)
        pool.add_addresses("eni-0", [IP3], now=13.0)
        pool.remove_addresses([IP3], now=133.0)
        assert not pool.was_removed_since(IP2, 0.0)
        assert pool.was_removed_since(IP3, 0.0)


class TestReview:
    def review(
        self,
        pool: Pool,
        *enis: Eni,
        links: tuple[KernelLink, ...] = (),
        ruled: tuple[IPv4Address, ...] = (),
        now: float,
    ) -> dict[IPv4Address, AddressState | None]:
        kernel = KernelView(links, frozenset(ruled))
        review = review_quarantines(pool, enis, kernel, cooldown_seconds=COOLDOWN, now=now)
        for address in (*review.resolved, *(each.address for each in review.replaced)):
            pool.resolve(address)
        for each in review.replaced:
            pool.quarantine(each.address, each.reason, each.since, each.detail)
        return {address: pool.state(address) for address in (IP, IP2)}

    def test_pods_address_that_ec2_lists_again_is_its_own_again(self, pool: Pool) -> None:
        pool.quarantine(IP, QuarantineReason.NOT_IN_EC2, 1.0)
        assert self.review(pool, eni(0), now=2.0)[IP] is AddressState.QUARANTINED
        assert self.review(pool, eni(1, IP), now=2.0)[IP] is AddressState.QUARANTINED
        assert self.review(pool, eni(0, IP), now=2.0)[IP] is AddressState.ASSIGNED

    def test_missing_address_without_its_pod_only_cools(self, pool: Pool) -> None:
        pool.quarantine(IP, QuarantineReason.NOT_IN_EC2, 1.0)
        pool.release(KEY, 5.0)
        assert self.review(pool, eni(0), now=6.0)[IP] is AddressState.COOLING

    @pytest.mark.parametrize("reason", [QuarantineReason.UNKNOWN_OWNER, QuarantineReason.TWO_OWNERS])
    def test_address_rests_for_a_cooldown_after_its_last_unknown_user(
        self, pool: Pool, reason: QuarantineReason
    ) -> None:
        pool.quarantine(IP2, reason, 1.0)
        user = KernelLink(7, "vethx", "", IP2)
        assert self.review(pool, eni(0, IP, IP2), links=(user,), now=1000.0)[IP2] is AddressState.QUARANTINED
        assert self.review(pool, eni(0, IP, IP2), now=1001.0)[IP2] is AddressState.QUARANTINED
        assert [each.reason for each in pool.quarantines()] == [QuarantineReason.UNKNOWN_PAST]
        assert self.review(pool, eni(0, IP, IP2), now=1030.9)[IP2] is AddressState.QUARANTINED
        assert self.review(pool, eni(0, IP, IP2), now=1031.0)[IP2] is AddressState.FREE

    def test_kernel_must_have_let_go(self, pool: Pool) -> None:
        pool.quarantine(IP2, QuarantineReason.KERNEL_REFUSED, 1.0)
        assert self.review(pool, eni(0, IP, IP2), ruled=(IP2,), now=99.0)[IP2] is AddressState.QUARANTINED
        assert self.review(pool, eni(0, IP, IP2), now=99.0)[IP2] is AddressState.FREE

    def test_nothing_in_doubt_is_an_empty_review(self, pool: Pool) -> None:
        outcome = review_quarantines(pool, [eni(0, IP)], KernelView(), cooldown_seconds=COOLDOWN, now=1.0)
        assert (outcome.resolved, outcome.replaced) == ((), ())

    def test_review_changes_nothing_by_itself(self, pool: Pool) -> None:
        doubt = pool.quarantine(IP2, QuarantineReason.UNKNOWN_OWNER, 1.0)
        outcome = review_quarantines(pool, [], KernelView(), cooldown_seconds=COOLDOWN, now=9.0)
        detail = outcome.replaced[0].detail
        assert outcome.replaced == (replace(doubt, reason=QuarantineReason.UNKNOWN_PAST, since=9.0, detail=detail),)
        assert pool.quarantines() == (doubt,)
