"""Planner decisions beyond the worked examples: demand, several ENIs, bounds, pauses, shrinking and its gates."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from vpc_cni.errors import ConfigurationError, Shortage
from vpc_cni.ipam import (
    AssignAddresses,
    Capacity,
    Conditions,
    CreateEni,
    EniState,
    EniView,
    FreeAddress,
    Growth,
    Pause,
    PoolPlan,
    PoolView,
    ReleaseEni,
    Targets,
    UnassignAddresses,
    find_limits,
    plan_capacity,
    plan_pool,
)
from vpc_cni.ipam.capacity import IdealNode

M5_LARGE = find_limits("m5.large")
HERE = Conditions(subnets=("subnet-0", "subnet-1"))
NOW = 1000.0
DEFAULT = Targets()


def eni(number: int, *, free: int = 0, subnet: str = "subnet-0", **fields: int | float | EniState | bool) -> EniView:
    view = EniView(
        eni_id=f"eni-{number}",
        device_number=number,
        subnet_id=subnet,
        state=EniState.READY,
        since=0.0,
        is_permanent=number == 0,
        free=tuple(FreeAddress(float(i), IPv4Address(f"10.0.{number}.{i}")) for i in range(free)),
    )
    return replace(view, **fields)


def plan(
    *enis: EniView,
    targets: Targets = DEFAULT,
    demand: int = 0,
    here: Conditions = HERE,
    creating: tuple[Growth, ...] = (),
    ready_at: float | None = None,
) -> PoolPlan:
    view = PoolView(tuple(enis), creating, ready_at)
    return plan_pool(view, targets, M5_LARGE, demand=demand, conditions=here, now=NOW)


class TestGrowth:
    def test_burst_is_covered_by_several_enis_at_once(self) -> None:
        assert plan(eni(0, free=9), targets=Targets(warm_ip=1), demand=20).actions == (
            CreateEni(9, "subnet-0", 1),
            CreateEni(3, "subnet-0", 2),
        )

    def test_room_on_enis_comes_before_new_enis(self) -> None:
        outcome = plan(eni(0, assigned=9), eni(1, assigned=5), targets=Targets(warm_ip=6))
        assert outcome.actions == (AssignAddresses("eni-1", 4), CreateEni(2, "subnet-0", 2))

    def test_what_was_asked_for_counts(self) -> None:
        busy = eni(0, assigned=9)
        assert plan(busy, creating=(Growth("t", 9, device_number=1),)).actions == ()
        assert plan(busy, eni(1, growing=9)).actions == ()
        assert plan(busy, eni(1, free=9, state=EniState.ATTACHING)).actions == ()

    def test_cooling_counts_as_used(self) -> None:
        assert plan(eni(0, cooling=9), targets=Targets(warm_ip=1)).actions == (CreateEni(1, "subnet-0", 1),)

    def test_addresses_of_a_draining_eni_are_no_help(self) -> None:
        outcome = plan(eni(0, assigned=9), eni(1, free=9, state=EniState.DRAINING), targets=Targets(warm_ip=2))
        assert outcome.actions == (CreateEni(2, "subnet-0", 2),)

    def test_device_numbers_of_unmanaged_enis_are_skipped(self) -> None:
        here = replace(HERE, unmanaged_enis=1, used_device_numbers=frozenset({1}))
        assert plan(eni(0, assigned=9), here=here).actions == (CreateEni(9, "subnet-0", 2),)

    def test_unmanaged_enis_take_places(self) -> None:
        here = replace(HERE, unmanaged_enis=2, used_device_numbers=frozenset({1, 2}))
        outcome = plan(eni(0, assigned=9), here=here, demand=1)
        assert outcome.actions == ()
        assert outcome.shortfall is not None
        assert outcome.shortfall.shortage is Shortage.ENI_LIMIT

    def test_max_eni_lowers_the_limit(self) -> None:
        outcome = plan(eni(0, assigned=9), targets=Targets(max_eni=1), demand=2)
        assert outcome.actions == ()
        assert outcome.arithmetic.eni_limit == 1

    def test_max_eni_above_the_type_changes_nothing(self) -> None:
        assert plan(eni(0), targets=Targets(max_eni=9)).arithmetic.eni_limit == 3

    def test_fullest_eni_is_filled_first(self) -> None:
        outcome = plan(eni(0, assigned=9), eni(1, assigned=2), eni(2, assigned=5), targets=Targets(warm_ip=3))
        assert outcome.actions == (AssignAddresses("eni-2", 3),)

    def test_prefixes_take_slots(self) -> None:
        outcome = plan(eni(0, assigned=5, prefixes=3), targets=Targets(warm_ip=3))
        assert outcome.actions == (AssignAddresses("eni-0", 1), CreateEni(2, "subnet-0", 1))


class TestPostponedGrowth:
    """ADDs of a burst come one by one; those after the first are asked for together."""

    IP_TARGETS = Targets(warm_ip=1)

    def test_an_eni_that_grows_is_not_asked_about_again_meanwhile(self) -> None:
        outcome = plan(eni(0, assigned=2, growing=2), targets=self.IP_TARGETS, demand=4)
        assert outcome.actions == ()
        assert outcome.postponed == 3
        assert outcome.shortfall is None
        assert outcome.reasons == ("3 are asked for when the growth under way has ended",)

    def test_all_that_was_postponed_is_asked_for_in_one_call(self) -> None:
        outcome = plan(eni(0, assigned=2, free=2), targets=self.IP_TARGETS, demand=4)
        assert outcome.actions == (AssignAddresses("eni-0", 3),)
        assert outcome.postponed == 0

    def test_what_a_growing_eni_cannot_hold_is_asked_for_at_once(self) -> None:
        outcome = plan(eni(0, assigned=5, growing=2), targets=self.IP_TARGETS, demand=14)
        assert outcome.actions == (CreateEni(9, "subnet-0", 1), CreateEni(2, "subnet-0", 2))
        assert outcome.postponed == 2

    def test_an_idle_eni_with_room_comes_first(self) -> None:
        outcome = plan(eni(0, assigned=5, growing=2), eni(1, assigned=4), targets=self.IP_TARGETS, demand=5)
        assert outcome.actions == (AssignAddresses("eni-1", 4),)
        assert outcome.postponed == 0

    def test_an_eni_that_is_created_or_attached_takes_what_it_has_room_for(self) -> None:
        creating = (Growth("t", 3, device_number=1),)
        attaching = eni(2, free=3, state=EniState.ATTACHING, since=NOW - 1)
        outcome = plan(eni(0, assigned=9), attaching, targets=self.IP_TARGETS, demand=17, creating=creating)
        assert outcome.actions == ()
        assert outcome.postponed == 12

    def test_a_link_that_does_not_come_is_not_waited_for(self) -> None:
        attaching = eni(1, free=3, state=EniState.ATTACHING, since=NOW - 4)
        waiting = plan(eni(0, assigned=9), attaching, targets=self.IP_TARGETS, demand=6)
        assert (waiting.actions, waiting.postponed, waiting.recheck_at) == ((), 4, NOW + 6)
        late = plan(eni(0, assigned=9), replace(attaching, since=NOW - 10), targets=self.IP_TARGETS, demand=6)
        assert late.actions == (CreateEni(4, "subnet-0", 2),)

    def test_nothing_is_left_to_an_eni_in_a_full_subnet(self) -> None:
        here = replace(HERE, subnet_pauses={"subnet-0": Pause(1120.0, Shortage.SUBNET_FULL)})
        outcome = plan(eni(0, assigned=5, growing=2), targets=self.IP_TARGETS, demand=4, here=here)
        assert outcome.actions == (CreateEni(3, "subnet-1", 1),)

    def test_max_pods_bounds_what_is_postponed(self) -> None:
        outcome = plan(eni(0, assigned=2, growing=2), targets=Targets(warm_ip=1, max_pods=5), demand=4)
        assert outcome.postponed == 1
        assert outcome.shortfall is not None
        assert (outcome.shortfall.shortage, outcome.shortfall.unmet) == (Shortage.MAX_PODS, 1)


class TestMaxPods:
    def test_warm_growth_stops_at_max_pods(self) -> None:
        outcome = plan(eni(0, assigned=9), targets=Targets(max_pods=13))
        assert outcome.actions == (CreateEni(4, "subnet-0", 1),)
        assert outcome.reasons == ("bounded by max pods (13): 5 not asked for",)

    def test_idle_node_stays_below_max_pods(self) -> None:
        assert plan_capacity(Targets(warm_eni=2, max_pods=11), M5_LARGE, 0) == Capacity((9, 2), 0, 11, 0)

    def test_waiting_pods_do_not_wait_for_cooldowns_of_others(self) -> None:
        """All 9 addresses cool after a rollout; the 2 new pods are within max pods and get addresses at once."""
        outcome = plan(eni(0, cooling=9), targets=Targets(warm_ip=1, max_pods=9), demand=2)
        assert outcome.actions == (CreateEni(2, "subnet-0", 1),)
        assert outcome.shortfall is None

    def test_more_pods_than_max_pods_are_refused_by_name(self) -> None:
        outcome = plan(eni(0, assigned=9), targets=Targets(max_pods=9), demand=2)
        assert outcome.actions == ()
        assert outcome.shortfall is not None
        assert (outcome.shortfall.shortage, outcome.shortfall.unmet) == (Shortage.MAX_PODS, 2)


class TestObstacles:
    def test_paused_subnet_does_not_hold_up_another(self) -> None:
        here = replace(HERE, subnet_pauses={"subnet-0": Pause(1120.0, Shortage.SUBNET_FULL)})
        outcome = plan(eni(0, assigned=8), targets=Targets(warm_ip=2), here=here)
        assert outcome.actions == (CreateEni(2, "subnet-1", 1),)
        assert outcome.recheck_at == 1120.0

    def test_full_subnets_are_the_reason_of_a_shortfall(self) -> None:
        pause = Pause(1120.0, Shortage.SUBNET_FULL)
        here = replace(HERE, subnet_pauses={"subnet-0": pause, "subnet-1": pause})
        outcome = plan(eni(0, assigned=9), demand=3, here=here)
        shortfall = outcome.shortfall
        assert shortfall is not None
        assert (shortfall.shortage, shortfall.unmet, shortfall.retry_at) == (Shortage.SUBNET_FULL, 3, 1120.0)
        error = shortfall.as_error()
        assert error.shortage is Shortage.SUBNET_FULL
        assert error.retryable
        assert str(error) == (
            "no free address for 3 waiting pods (1/3 ENIs, 9 assigned, 0 cooling, 0 quarantined): "
            "no growth in subnet-0 for 120 s: SubnetFull: "
            "free addresses of the subnet, run nodes in another one, or lower the warm targets"
        )

    def test_a_pause_that_is_over_is_no_obstacle(self) -> None:
        here = replace(HERE, growth_pause=Pause(NOW, Shortage.THROTTLED))
        assert plan(eni(0, assigned=9), here=here).actions == (CreateEni(9, "subnet-0", 1),)

    def test_cooldowns_that_will_serve_everyone_are_named(self) -> None:
        outcome = plan(
            *(eni(0, assigned=7, cooling=2), eni(1, assigned=9), eni(2, assigned=9)), demand=2, ready_at=1012.0
        )
        assert outcome.shortfall is not None
        assert (outcome.shortfall.shortage, outcome.shortfall.cooling) == (Shortage.COOLING, 2)
        assert outcome.shortfall.retry_at == outcome.recheck_at == 1012.0

    @pytest.mark.parametrize(
        ("here", "shortage"),
        [
            (replace(HERE, terminating=True), Shortage.STOPPING),
            (replace(HERE, provisioning=False), Shortage.PROVISIONING_OFF),
            (replace(HERE, unschedulable=True), Shortage.PROVISIONING_OFF),
            (replace(HERE, growth_pause=Pause(1060.0, Shortage.DENIED)), Shortage.DENIED),
        ],
        ids=["stopping", "provisioning-off", "cordoned", "denied"],
    )
    def test_growth_that_is_held_back_says_why(self, here: Conditions, shortage: Shortage) -> None:
        outcome = plan(eni(0, assigned=9), demand=1, here=here)
        assert outcome.actions == ()
        assert outcome.shortfall is not None
        assert outcome.shortfall.shortage is shortage
        assert len(outcome.reasons) == 1

    def test_demand_that_is_coming_is_no_shortfall(self) -> None:
        outcome = plan(eni(0, assigned=9), demand=9, creating=(Growth("t", 9),), here=replace(HERE, terminating=True))
        assert outcome.shortfall is None


class TestShrink:
    IP_TARGETS = Targets(warm_ip=2)

    def test_longest_rested_addresses_of_the_emptiest_eni_go_first(self) -> None:
        outcome = plan(eni(0, assigned=7, free=2), eni(1, assigned=1, free=4), targets=self.IP_TARGETS)
        assert outcome.actions == (
            UnassignAddresses("eni-1", tuple(IPv4Address(f"10.0.1.{last}") for last in range(4))),
        )

    def test_of_enis_with_pods_the_emptiest_gives_first(self) -> None:
        outcome = plan(
            *(eni(0, assigned=9), eni(1, assigned=2, free=3), eni(2, assigned=5, free=3)), targets=self.IP_TARGETS
        )
        assert [(action.eni_id, len(action.addresses)) for action in outcome.actions] == [("eni-1", 3), ("eni-2", 1)]

    def test_whole_eni_goes_instead_of_its_addresses(self) -> None:
        outcome = plan(eni(0, assigned=7, free=2), eni(1, free=4), targets=self.IP_TARGETS)
        assert outcome.actions == (ReleaseEni("eni-1", tuple(IPv4Address(f"10.0.1.{last}") for last in range(4))),)

    def test_one_eni_at_a_time_and_the_next_is_not_emptied_meanwhile(self) -> None:
        outcome = plan(eni(0, assigned=6, free=3), eni(1, free=9), eni(2, free=9), targets=self.IP_TARGETS)
        assert [type(action) for action in outcome.actions] == [ReleaseEni, UnassignAddresses]
        assert [action.eni_id for action in outcome.actions] == ["eni-2", "eni-0"]
        assert "eni-1 is not needed either: one ENI at a time" in outcome.reasons

    def test_young_eni_stays(self) -> None:
        outcome = plan(eni(0, assigned=7, free=2), eni(1, free=4, since=950.0), targets=self.IP_TARGETS)
        assert outcome.actions == ()
        assert outcome.recheck_at == 1010.0

    @pytest.mark.parametrize(
        "busy", [{"assigned": 1}, {"cooling": 1}, {"quarantined": 1}, {"is_permanent": True}, {"growing": 1}]
    )
    def test_eni_in_use_stays(self, busy: dict[str, int | bool]) -> None:
        outcome = plan(eni(0, free=9), eni(1, free=8, **busy), targets=Targets(warm_eni=0))
        assert not any(isinstance(action, ReleaseEni) for action in outcome.actions)

    def test_an_eni_goes_when_a_whole_one_more_than_the_target_is_spare(self) -> None:
        assert plan(eni(0, assigned=1, free=8), eni(1, free=9)).actions == ()
        freed = tuple(IPv4Address(f"10.0.2.{last}") for last in range(9))
        assert plan(eni(0, free=9), eni(1, assigned=9), eni(2, free=9)).actions == (ReleaseEni("eni-2", freed),)

    def test_without_spare_enis_the_last_free_addresses_are_kept(self) -> None:
        """The reference would release this ENI and create it again."""
        assert plan(eni(0, assigned=9), eni(1, free=9), targets=Targets(warm_eni=0)).actions == ()

    def test_nothing_goes_within_30_seconds_of_the_last_shrink(self) -> None:
        enis = (eni(0, assigned=7, free=2), eni(1, assigned=1, free=4))
        outcome = plan(*enis, targets=self.IP_TARGETS, here=replace(HERE, last_shrink_at=980.0))
        assert outcome.actions == ()
        assert outcome.recheck_at == 1010.0
        assert plan(*enis, targets=self.IP_TARGETS, here=replace(HERE, last_shrink_at=970.0)).shrinks

    @pytest.mark.parametrize("gate", ["terminating", "unschedulable"])
    def test_nothing_goes_while_the_node_ends(self, gate: str) -> None:
        outcome = plan(eni(0, assigned=7, free=9), targets=self.IP_TARGETS, here=replace(HERE, **{gate: True}))
        assert outcome.actions == ()
        assert len(outcome.reasons) == 1

    def test_nothing_goes_while_pods_wait(self) -> None:
        assert plan(eni(0, assigned=1, free=8), targets=self.IP_TARGETS, demand=1).actions == ()

    def test_nothing_goes_in_exchange_for_what_is_only_coming(self) -> None:
        outcome = plan(eni(0, free=2), targets=self.IP_TARGETS, creating=(Growth("t", 2, device_number=1),))
        assert outcome.actions == ()

    def test_minimum_target_is_a_floor(self) -> None:
        outcome = plan(eni(0, assigned=3, free=6), targets=Targets(warm_ip=1, minimum_ip=8))
        assert outcome.actions == (UnassignAddresses("eni-0", (IPv4Address("10.0.0.0"),)),)


class TestExplanation:
    def test_arithmetic_is_spelled_out(self) -> None:
        outcome = plan(
            *(eni(0, assigned=4, cooling=2, quarantined=1, free=2), eni(1, free=1, state=EniState.ATTACHING)),
            targets=Targets(warm_ip=3),
            demand=1,
        )
        assert str(outcome.arithmetic) == (
            "T=10 A=4 V=3 (free 2, coming 1) cooling=2 quarantined=1 waiting=1 short=1 over=0 ENIs=2/3x9"
        )

    def test_bound_of_the_instance_is_named(self) -> None:
        outcome = plan(eni(0, assigned=9), eni(1, assigned=9), eni(2, assigned=5, free=4))
        assert outcome.reasons == ("all 3 ENIs are in use: 5 not asked for",)


class TestTargets:
    def test_prefix_delegation_is_refused_by_name(self) -> None:
        with pytest.raises(ConfigurationError, match="ENABLE_PREFIX_DELEGATION is not supported yet"):
            Targets(prefix_delegation=True)

    @pytest.mark.parametrize("name", ["warm_eni", "warm_ip", "minimum_ip", "max_pods"])
    def test_negative_targets_are_refused(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match=f"target {name} is -1"):
            Targets(**{name: -1})


class TestCapacity:
    def test_largest_nodes_hold_what_ec2_allows(self) -> None:
        assert plan_capacity(Targets(), find_limits("m5.24xlarge"), 735).unserved == 0
        assert plan_capacity(Targets(), find_limits("m5.24xlarge"), 736).unserved == 1
        assert plan_capacity(Targets(), find_limits("lab.max"), 1400).unserved == 0

    def test_pods_that_leave_bring_the_node_back_to_its_start(self) -> None:
        node = IdealNode(Targets(warm_ip=1, minimum_ip=1), find_limits("t3.small"))
        node.settle()
        node.add_pods(5)
        assert node.capacity().addresses_per_eni == (3, 3)
        node.delete_pods(5)
        assert node.capacity().addresses_per_eni == (1,)
