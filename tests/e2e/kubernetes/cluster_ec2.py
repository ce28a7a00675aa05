"""What EC2 holds of a lab's cluster, asked with boto3, and the end of instances."""

from typing import Any

import boto3

from vpc_cni.ipam.ownership import INSTANCE_ID_TAG
from vpc_cni.lab import Lab


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


def list_enis(ec2: Any, **filters: str) -> list[dict[str, Any]]:
    """Return ENIs as EC2 describes them; a filter's name is written with _ for -."""
    given = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
    found: list[dict[str, Any]] = ec2.describe_network_interfaces(Filters=given)["NetworkInterfaces"]
    return found


def detached_of(ec2: Any, instance_id: str) -> set[str]:
    """Return the ENIs that an agent has made for an instance and that no instance has."""
    return {
        eni["NetworkInterfaceId"]
        for eni in list_enis(ec2, status="available")
        if {"Key": INSTANCE_ID_TAG, "Value": instance_id} in eni["TagSet"]
    }


def end_nodes(lab: Lab, *names: str) -> None:
    """Terminate the instances of nodes; the lab then ends what ran there."""
    connect(lab).terminate_instances(InstanceIds=[lab.node(name).instance_id for name in names])
