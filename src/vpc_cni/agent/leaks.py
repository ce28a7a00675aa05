"""Finds ENIs that dead nodes left behind and deletes them.

The decision is pure (``ipam.ownership.judge_leak``): detached, made by a node agent, in our own VPC, of our cluster,
its instance gone, older than five minutes, or than one period if that is shorter. A missing permission switches this
task off and nothing else.
"""

import functools
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from vpc_cni.ec2 import Ec2Client, NetworkInterface
from vpc_cni.errors import CloudError
from vpc_cni.ipam.ownership import (
    CLUSTER_TAG,
    CREATED_AT_TAG,
    INSTANCE_ID_TAG,
    MIN_LEAK_AGE,
    DetachedEni,
    LeakDecision,
    LeakVerdict,
    judge_leak,
)

_log = logging.getLogger(__name__)


def delete_leaked_enis(
    client: Ec2Client,
    *,
    own_vpc_id: str,
    cluster_name: str,
    own_instance_id: str,
    min_age: timedelta = MIN_LEAK_AGE,
) -> list[str]:
    """Look once through the VPC's detached ENIs; return the ids of those deleted. Blocks: for a worker thread.

    Raises:
        CloudError: the ENIs or instances cannot be listed. A single failed delete is logged and left to the next round.
    """
    filters = {"tag-key": [INSTANCE_ID_TAG], "status": ["available"], "vpc-id": [own_vpc_id]}
    if cluster_name:
        filters[f"tag:{CLUSTER_TAG}"] = [cluster_name]
    candidates = [_as_detached(each) for each in client.find_network_interfaces(filters=filters)]
    tagged = {eni.tags[INSTANCE_ID_TAG] for eni in candidates if eni.tags.get(INSTANCE_ID_TAG)}
    living = {own_instance_id, *_living_instances(client, tagged - {own_instance_id})}
    now = datetime.now(UTC)
    judge = functools.partial(
        judge_leak,
        own_vpc_id=own_vpc_id,
        living_instances=living,
        cluster_name=cluster_name,
        wall_now=now,
        min_age=min_age,
    )
    decisions = [judge(eni) for eni in candidates]
    return [decision.eni_id for decision in decisions if _carry_out(client, decision, now)]


def _as_detached(interface: NetworkInterface) -> DetachedEni:
    return DetachedEni(interface.eni_id, interface.vpc_id, interface.status, interface.description, interface.tags)


def _living_instances(client: Ec2Client, instance_ids: Iterable[str]) -> set[str]:
    described = client.describe_instances(ids=sorted(instance_ids))
    return {instance.instance_id for instance in described if instance.state != "terminated"}


def _carry_out(client: Ec2Client, decision: LeakDecision, now: datetime) -> bool:
    """Do what was decided; return whether the ENI was deleted."""
    try:
        if decision.verdict is LeakVerdict.DELETE:
            _log.info("deleting leaked %s: %s", decision.eni_id, decision.reason)
            client.delete_network_interface(eni_id=decision.eni_id)
            return True
        if decision.verdict is LeakVerdict.TAG_CREATED_AT:
            stamp = now.isoformat(timespec="seconds").replace("+00:00", "Z")
            client.create_tags(resource_ids=[decision.eni_id], tags={CREATED_AT_TAG: stamp})
    except CloudError as err:
        _log.warning("leaked ENI %s is left for the next round: %s", decision.eni_id, err)
    return False
