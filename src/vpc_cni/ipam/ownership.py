"""Whose ENI is it: which attached ENIs this agent manages, and which detached ones nobody owns any more. Pure."""

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from vpc_cni.model import Eni

INSTANCE_ID_TAG = "node.k8s.amazonaws.com/instance_id"
CREATED_AT_TAG = "node.k8s.amazonaws.com/createdAt"
NO_MANAGE_TAG = "node.k8s.amazonaws.com/no_manage"
CLUSTER_TAG = "cluster.k8s.amazonaws.com/name"
DESCRIPTION_PREFIX = "aws-K8S-"
# So long an ENI may be under way to its instance; a cluster that cleans up more often waits one period only.
MIN_LEAK_AGE = timedelta(minutes=5)


class Management(enum.StrEnum):
    """Why an ENI is managed, or is left alone."""

    PRIMARY = "primary"
    TAGGED_OWN = "tagged with this instance"
    UNTAGGED = "untagged, and MANAGE_UNTAGGED_ENI is on"
    TAGGED_MANAGE = "no_manage tag is not 'true'"
    NO_MANAGE = "no_manage tag is 'true'"
    OTHER_CARD = "on another network card"
    UNTAGGED_LEFT_ALONE = "untagged, and MANAGE_UNTAGGED_ENI is off"

    @property
    def is_managed(self) -> bool:
        return self not in _LEFT_ALONE


_LEFT_ALONE = frozenset({Management.NO_MANAGE, Management.OTHER_CARD, Management.UNTAGGED_LEFT_ALONE})


def classify_eni(eni: Eni, tags: Mapping[str, str], instance_id: str, *, manage_untagged: bool) -> Management:
    """Decide whether this agent manages an attached ENI. Pure.

    Unmanaged ENIs give no addresses to pods and are never changed; they do take a place on the instance.

    Source: amazon-vpc-cni-k8s README, MANAGE_UNTAGGED_ENI and the ``no_manage`` tag.
    """
    if eni.is_primary:
        return Management.PRIMARY
    if eni.network_card > 0:
        return Management.OTHER_CARD
    if NO_MANAGE_TAG in tags:
        return Management.NO_MANAGE if tags[NO_MANAGE_TAG] == "true" else Management.TAGGED_MANAGE
    if tags.get(INSTANCE_ID_TAG) == instance_id:
        return Management.TAGGED_OWN
    return Management.UNTAGGED if manage_untagged else Management.UNTAGGED_LEFT_ALONE


@dataclass(frozen=True, slots=True)
class DetachedEni:
    """An ENI of the account as DescribeNetworkInterfaces shows it. ``status`` is ``available`` when detached."""

    eni_id: str
    vpc_id: str
    status: str
    description: str
    tags: Mapping[str, str]


class LeakVerdict(enum.StrEnum):
    """What to do with an ENI that may be leaked."""

    DELETE = "delete"
    KEEP = "keep"
    TAG_CREATED_AT = "tag"


@dataclass(frozen=True, slots=True)
class LeakDecision:
    """``TAG_CREATED_AT``: set the createdAt tag to the present, so that a later round knows the age."""

    eni_id: str
    verdict: LeakVerdict
    reason: str


def judge_leak(
    eni: DetachedEni,
    *,
    own_vpc_id: str,
    living_instances: Collection[str],
    cluster_name: str,
    wall_now: datetime,
    min_age: timedelta = MIN_LEAK_AGE,
) -> LeakDecision:
    """Decide whether a detached ENI is leaked. Pure.

    Deleted only when all hold: detached, of this project or the reference (description and instance tag), in our own
    VPC, its cluster tag is ours if ``CLUSTER_NAME`` is set, as old as ``min_age``, and the instance of its tag is gone.
    A living instance may be about to attach it.

    Args:
        living_instances: ids of the tagged instances that exist and are not terminated.
        cluster_name: ``CLUSTER_NAME``; empty: any cluster of this VPC.
        wall_now: aware wall-clock time, compared with the createdAt tag.
    """
    foreign = _why_foreign(eni, own_vpc_id, cluster_name)
    if foreign:
        return LeakDecision(eni.eni_id, LeakVerdict.KEEP, foreign)
    instance_id = eni.tags[INSTANCE_ID_TAG]
    if instance_id in living_instances:
        return LeakDecision(eni.eni_id, LeakVerdict.KEEP, f"instance {instance_id} still exists")
    created_at = _parse_time(eni.tags.get(CREATED_AT_TAG, ""))
    if created_at is None:
        return LeakDecision(eni.eni_id, LeakVerdict.TAG_CREATED_AT, "its age is not known")
    if wall_now - created_at < min_age:
        return LeakDecision(eni.eni_id, LeakVerdict.KEEP, f"younger than {min_age}")
    return LeakDecision(eni.eni_id, LeakVerdict.DELETE, f"instance {instance_id} is gone")


def _why_foreign(eni: DetachedEni, own_vpc_id: str, cluster_name: str) -> str:
    """Return why the ENI is none of our business; empty when it is."""
    if eni.status != "available":
        return f"its status is {eni.status}"
    if eni.vpc_id != own_vpc_id:
        return f"it belongs to {eni.vpc_id}"
    if not eni.description.startswith(DESCRIPTION_PREFIX) or not eni.tags.get(INSTANCE_ID_TAG):
        return "no node agent created it"
    if cluster_name and eni.tags.get(CLUSTER_TAG) != cluster_name:
        return f"its cluster tag is {eni.tags.get(CLUSTER_TAG, 'missing')}"
    return ""


def _parse_time(text: str) -> datetime | None:
    """Read RFC 3339; None for anything else, so that it is tagged anew rather than deleted on a guess."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
