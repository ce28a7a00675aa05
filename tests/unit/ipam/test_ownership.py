"""Which ENIs are managed, and which are leaked."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network

import pytest

from vpc_cni.ipam import DetachedEni, LeakVerdict, Management, classify_eni, judge_leak
from vpc_cni.ipam.ownership import CLUSTER_TAG, CREATED_AT_TAG, INSTANCE_ID_TAG, NO_MANAGE_TAG
from vpc_cni.model import Eni

NOW = datetime(2024, 1, 2, 12, tzinfo=UTC)
OWN = {INSTANCE_ID_TAG: "i-self"}


def attached(device_number: int = 1, network_card: int = 0) -> Eni:
    return Eni(
        *("eni-1", "02:00:00:00:00:01", device_number, "subnet-0"),
        *(IPv4Network("10.0.0.0/16"), IPv4Address("10.0.0.4")),
        network_card=network_card,
    )


@pytest.mark.parametrize(
    ("eni", "tags", "manage_untagged", "expected"),
    [
        (attached(0), {NO_MANAGE_TAG: "true"}, False, Management.PRIMARY),
        (attached(), {NO_MANAGE_TAG: "true", **OWN}, True, Management.NO_MANAGE),
        (attached(), {NO_MANAGE_TAG: "True"}, False, Management.TAGGED_MANAGE),
        (attached(), {NO_MANAGE_TAG: "false"}, False, Management.TAGGED_MANAGE),
        (attached(), OWN, False, Management.TAGGED_OWN),
        (attached(), {INSTANCE_ID_TAG: "i-other"}, False, Management.UNTAGGED_LEFT_ALONE),
        (attached(), {INSTANCE_ID_TAG: "i-other"}, True, Management.UNTAGGED),
        (attached(), {}, True, Management.UNTAGGED),
        (attached(), {}, False, Management.UNTAGGED_LEFT_ALONE),
        (attached(0, network_card=1), OWN, True, Management.OTHER_CARD),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, Management) else None,
)
def test_management_of_eni(eni: Eni, tags: dict[str, str], manage_untagged: bool, expected: Management) -> None:
    management = classify_eni(eni, tags, "i-self", manage_untagged=manage_untagged)
    assert management is expected


def test_what_is_left_alone() -> None:
    assert {management for management in Management if not management.is_managed} == {
        Management.NO_MANAGE,
        Management.OTHER_CARD,
        Management.UNTAGGED_LEFT_ALONE,
    }


def leaked(**changes: object) -> DetachedEni:
    tags = {INSTANCE_ID_TAG: "i-gone", CREATED_AT_TAG: "2024-01-02T11:00:00Z", CLUSTER_TAG: "prod"}
    fields: dict[str, object] = {"vpc_id": "vpc-own", "status": "available", "description": "aws-K8S-i-gone"}
    new_tags = changes.pop("tags", {})
    assert isinstance(new_tags, dict)
    merged = {name: value for name, value in {**tags, **new_tags}.items() if value is not None}
    return DetachedEni(eni_id="eni-9", tags=merged, **{**fields, **changes})


def judge(eni: DetachedEni, cluster_name: str = "prod", living: tuple[str, ...] = ("i-alive",)) -> LeakVerdict:
    return judge_leak(
        eni, own_vpc_id="vpc-own", living_instances=living, cluster_name=cluster_name, wall_now=NOW
    ).verdict


def test_detached_eni_of_a_gone_instance_is_deleted() -> None:
    assert judge(leaked()) is LeakVerdict.DELETE


@pytest.mark.parametrize(
    "eni",
    [
        leaked(status="in-use"),
        leaked(vpc_id="vpc-other"),
        leaked(description="my own interface"),
        leaked(tags={INSTANCE_ID_TAG: None}),
        leaked(tags={INSTANCE_ID_TAG: "i-alive"}),
        leaked(tags={CLUSTER_TAG: "staging"}),
        leaked(tags={CLUSTER_TAG: None}),
        leaked(tags={CREATED_AT_TAG: (NOW - timedelta(minutes=4, seconds=59)).isoformat()}),
        leaked(tags={CREATED_AT_TAG: (NOW + timedelta(days=1)).isoformat()}),
    ],
    ids=[
        *("in-use", "other-vpc", "not-ours", "no-instance-tag", "instance-alive", "other-cluster", "no-cluster-tag"),
        *("young", "from-the-future"),
    ],
)
def test_eni_is_kept(eni: DetachedEni) -> None:
    assert judge(eni) is LeakVerdict.KEEP


def test_age_of_exactly_five_minutes_is_old_enough() -> None:
    created = (NOW - timedelta(minutes=5)).isoformat()
    assert judge(leaked(tags={CREATED_AT_TAG: created})) is LeakVerdict.DELETE


def test_a_cluster_that_cleans_up_often_waits_less() -> None:
    def decide(age: timedelta) -> LeakVerdict:
        eni = leaked(tags={CREATED_AT_TAG: (NOW - age).isoformat()})
        return judge_leak(
            eni, own_vpc_id="vpc-own", living_instances=(), cluster_name="", wall_now=NOW, min_age=timedelta(seconds=5)
        ).verdict

    assert decide(timedelta(seconds=4)) is LeakVerdict.KEEP
    assert decide(timedelta(seconds=5)) is LeakVerdict.DELETE


@pytest.mark.parametrize("text", [None, "", "yesterday", "2024-01-02T11:00:00"])
def test_eni_of_unknown_age_is_tagged_first(text: str | None) -> None:
    assert judge(leaked(tags={CREATED_AT_TAG: text})) is LeakVerdict.TAG_CREATED_AT


def test_without_a_cluster_name_any_cluster_of_the_vpc_counts() -> None:
    assert judge(leaked(tags={CLUSTER_TAG: "staging"}), cluster_name="") is LeakVerdict.DELETE


def test_decision_says_why() -> None:
    decision = judge_leak(leaked(), own_vpc_id="vpc-own", living_instances=(), cluster_name="", wall_now=NOW)
    assert (decision.eni_id, decision.reason) == ("eni-9", "instance i-gone is gone")
