"""Clean-up of leaked ENIs in the lab's VPC: those of dead nodes go, everything else stays."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from live_cloud import connect

from vpc_cni.agent.leaks import delete_leaked_enis
from vpc_cni.ec2 import Ec2Client, Timing, connect_ec2, connect_metadata
from vpc_cni.ipam.ownership import CLUSTER_TAG, CREATED_AT_TAG, DESCRIPTION_PREFIX, INSTANCE_ID_TAG
from vpc_cni.lab.client import Lab
from vpc_cni.lab.info import NodeInfo

CLUSTER = "our-cluster"
LONG_AGO = "2024-01-01T00:00:00Z"
MakeEni = Callable[..., str]


@dataclass(frozen=True)
class Vpc:
    """A VPC with a node that cleans up, and an instance that was terminated a moment ago: EC2 still describes it."""

    lab: Lab
    ec2: Any
    client: Ec2Client
    node: NodeInfo
    dead_instance: str

    def clean(self, cluster_name: str = CLUSTER) -> set[str]:
        """Look once; return what was deleted."""
        vpc_id, own = self.lab.status()["vpc_id"], self.node.instance_id
        return set(delete_leaked_enis(self.client, own_vpc_id=vpc_id, cluster_name=cluster_name, own_instance_id=own))

    def existing(self) -> set[str]:
        return {eni["NetworkInterfaceId"] for eni in self.ec2.describe_network_interfaces()["NetworkInterfaces"]}

    def describe(self, eni_id: str) -> Any:
        [found] = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni_id])["NetworkInterfaces"]
        return found


@pytest.fixture(scope="module")
def vpc(start_lab: Callable[..., Lab]) -> Vpc:
    lab = start_lab(nodes=2, agents=False)
    ec2, (node, dying) = connect(lab), lab.nodes
    ec2.terminate_instances(InstanceIds=[dying.instance_id])
    return Vpc(lab, ec2, agent_client(lab), node, dying.instance_id)


def agent_client(lab: Lab) -> Ec2Client:
    """Return the client that an agent would have, outside of any node."""
    variables = {**lab.environment(), "AWS_EC2_ENDPOINT": lab.environment()["AWS_ENDPOINT_URL_EC2"]}
    timing = Timing()
    metadata = connect_metadata(variables, timing=timing)
    region = variables["AWS_REGION"]
    return connect_ec2(variables, region=region, metadata=metadata, http_timeout_seconds=5, timing=timing).client


@pytest.fixture
def make_eni(vpc: Vpc) -> Iterator[MakeEni]:
    """Return a function that makes an ENI as a node agent does, leaked in all respects unless told otherwise."""
    made: list[str] = []

    def make(
        *,
        tags: Mapping[str, str | None] | None = None,
        description: str = f"{DESCRIPTION_PREFIX}{vpc.dead_instance}",
        subnet_id: str = vpc.node.subnet_id,
    ) -> str:
        usual = {INSTANCE_ID_TAG: vpc.dead_instance, CREATED_AT_TAG: LONG_AGO, CLUSTER_TAG: CLUSTER}
        given = {**usual, **(tags or {})}
        listed = [{"Key": key, "Value": value} for key, value in given.items() if value is not None]
        specification = [{"ResourceType": "network-interface", "Tags": listed}] if listed else []
        answer = vpc.ec2.create_network_interface(
            SubnetId=subnet_id, Description=description, TagSpecifications=specification
        )
        made.append(answer["NetworkInterface"]["NetworkInterfaceId"])
        return made[-1]

    yield make
    for eni_id in made:
        if eni_id in vpc.existing():
            vpc.ec2.delete_network_interface(NetworkInterfaceId=eni_id)


@pytest.mark.parametrize("instance", ["terminated", "i-0123456789abcdef0"], ids=["terminated", "unknown"])
def test_enis_of_dead_instances_are_deleted(vpc: Vpc, make_eni: MakeEni, instance: str) -> None:
    before = vpc.existing()
    leaked = {make_eni(tags={INSTANCE_ID_TAG: vpc.dead_instance if instance == "terminated" else instance})}
    assert vpc.clean() == leaked
    assert vpc.existing() == before
    assert vpc.clean() == set()


def test_enis_that_are_not_leaked_stay(vpc: Vpc, make_eni: MakeEni) -> None:
    other_vpc = vpc.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    other_subnet = vpc.ec2.create_subnet(VpcId=other_vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    kept = {
        "of a living instance": make_eni(tags={INSTANCE_ID_TAG: vpc.node.instance_id}),
        "of another cluster": make_eni(tags={CLUSTER_TAG: "another"}),
        "of no cluster": make_eni(tags={CLUSTER_TAG: None}),
        "in another VPC": make_eni(subnet_id=other_subnet),
        "young": make_eni(tags={CREATED_AT_TAG: now}),
        "made by someone else": make_eni(description="a load balancer"),
        "without instance tag": make_eni(tags={INSTANCE_ID_TAG: None}),
    }
    before = vpc.existing()
    assert vpc.clean() == set()
    assert vpc.existing() == before
    assert set(kept.values()) <= before


def test_an_attached_eni_is_never_touched(vpc: Vpc, make_eni: MakeEni) -> None:
    eni_id = make_eni()
    vpc.ec2.attach_network_interface(NetworkInterfaceId=eni_id, InstanceId=vpc.node.instance_id, DeviceIndex=1)
    try:
        assert vpc.clean() == set()
        assert eni_id in vpc.existing()
    finally:
        vpc.ec2.detach_network_interface(AttachmentId=vpc.describe(eni_id)["Attachment"]["AttachmentId"])


def test_an_eni_of_unknown_age_is_stamped_first(vpc: Vpc, make_eni: MakeEni) -> None:
    eni_id = make_eni(tags={CREATED_AT_TAG: None})
    assert vpc.clean() == set()
    stamp = {tag["Key"]: tag["Value"] for tag in vpc.describe(eni_id)["TagSet"]}[CREATED_AT_TAG]
    assert (datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds() < 60


def test_without_a_cluster_name_every_cluster_of_the_vpc_is_ours(vpc: Vpc, make_eni: MakeEni) -> None:
    leaked = {make_eni(tags={CLUSTER_TAG: "another"}), make_eni(tags={CLUSTER_TAG: None})}
    assert vpc.clean(cluster_name="") == leaked


def test_a_delete_that_fails_is_left_to_the_next_round(vpc: Vpc, make_eni: MakeEni) -> None:
    leaked = {make_eni(), make_eni()}
    number = vpc.lab.faults.deny("ec2:DeleteNetworkInterface")
    assert vpc.clean() == set()
    vpc.lab.faults.clear(number)
    assert vpc.clean() == leaked
