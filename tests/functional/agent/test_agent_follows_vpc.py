"""The agent follows what others change in the VPC: security groups, addresses, interfaces."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from vpc_cni.lab import Lab

DEADLINE_SECONDS = 15.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(
        name=f"follows-{os.getpid()}", nodes=1, env={"VPC_CNI_RECONCILE_SECONDS": "1", "WARM_IP_TARGET": "1"}
    ) as running:
        yield running


@pytest.fixture(scope="module")
def ec2(lab: Lab) -> Any:
    environment = lab.environment()
    return boto3.client(
        "ec2",
        endpoint_url=environment["AWS_ENDPOINT_URL_EC2"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=environment.get("AWS_SESSION_TOKEN"),
    )


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {DEADLINE_SECONDS} s"
        time.sleep(0.1)


def interfaces(ec2: Any, instance_id: str) -> list[dict[str, Any]]:
    filters = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    found: list[dict[str, Any]] = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    return sorted(found, key=lambda each: each["Attachment"]["DeviceIndex"])


def groups_of(interface: dict[str, Any]) -> list[str]:
    return sorted(group["GroupId"] for group in interface["Groups"])


def test_secondary_enis_get_the_security_groups_of_the_primary_one(lab: Lab, ec2: Any) -> None:
    node = lab.nodes[0]
    lab.add_pods(6)  # more than the primary ENI holds
    wait_until(lambda: len(interfaces(ec2, node.instance_id)) > 1, "growth by an ENI")
    primary = interfaces(ec2, node.instance_id)[0]
    group = ec2.create_security_group(GroupName="pods", Description="pods", VpcId=primary["VpcId"])["GroupId"]

    ec2.modify_network_interface_attribute(NetworkInterfaceId=primary["NetworkInterfaceId"], Groups=[group])

    wait_until(
        lambda: all(groups_of(each) == [group] for each in interfaces(ec2, node.instance_id)), "the change of groups"
    )


def test_addresses_that_someone_else_assigns_are_taken_in(lab: Lab, ec2: Any) -> None:
    node = lab.nodes[0]
    eni = next(eni for eni in node.enis if len(eni.addresses) < 5)

    ec2.assign_private_ip_addresses(NetworkInterfaceId=eni.eni_id, SecondaryPrivateIpAddressCount=1)

    # The pool may give a surplus back soon after, so the log tells, not a count.
    log = Path(node.agent_log_path)
    wait_until(lambda: f"{eni.eni_id} has gained 1 addresses" in log.read_text(), "taking in the new address")
