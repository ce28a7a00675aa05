"""What the lab's EC2 holds, asked with boto3: the truth that a node's pool is compared with."""

from typing import Any

import boto3
from live_node import LiveNode, wait_until

from vpc_cni.lab.client import Lab


def connect(lab: Lab) -> Any:
    """Return a boto3 client of the lab's EC2."""
    variables = lab.environment()
    return boto3.client(
        "ec2",
        endpoint_url=variables["AWS_ENDPOINT_URL_EC2"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )


def attached_addresses(ec2: Any, instance_id: str) -> dict[str, set[str]]:
    """Return the secondary addresses of each attached ENI."""
    filters = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    found = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    return {
        eni["NetworkInterfaceId"]: {
            each["PrivateIpAddress"] for each in eni["PrivateIpAddresses"] if not each["Primary"]
        }
        for eni in found
    }


def detached(ec2: Any) -> set[str]:
    """Return the ENIs that no instance has."""
    filters = [{"Name": "status", "Values": ["available"]}]
    return {eni["NetworkInterfaceId"] for eni in ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]}


def pool_addresses(node: LiveNode) -> dict[str, set[str]]:
    """Return the addresses that the agent's pool has on each ENI."""
    enis = node.page("/v1/enis")["ENIs"].values()
    return {eni["ID"]: {cidr.partition("/")[0] for cidr in eni["AvailableIPv4Cidrs"]} for eni in enis}


def wait_in_line(node: LiveNode, ec2: Any, timeout_seconds: float = 10.0) -> float:
    """Wait until the pool has exactly what EC2 has, and EC2 nothing that is attached nowhere; return the seconds."""

    def in_line() -> bool:
        return pool_addresses(node) == attached_addresses(ec2, node.info.instance_id) and not detached(ec2)

    return wait_until(in_line, timeout_seconds, f"pool of {node.name} in line with EC2")
