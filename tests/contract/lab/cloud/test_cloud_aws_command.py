"""The real ``aws`` command against the lab's EC2 and STS."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

AWS = Path(sys.executable).with_name("aws")


@pytest.fixture
def aws(site: Any, tmp_path: Path) -> Any:
    """Run the command; returns its parsed answer, or its error text when it fails."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **site.running.environment(),
        "HOME": str(tmp_path),
        "AWS_PAGER": "",
        "AWS_MAX_ATTEMPTS": "1",
    }

    def run(*arguments: str) -> Any:
        done = subprocess.run(
            [AWS, *arguments, "--output", "json"], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            return done.stderr.strip()
        return json.loads(done.stdout) if done.stdout else None

    return run


def test_an_interface_by_the_command_line(site: Any, aws: Any) -> None:
    made = aws(
        "ec2",
        "create-network-interface",
        "--subnet-id",
        site.subnet.subnet_id,
        "--secondary-private-ip-address-count",
        "2",
        "--tag-specifications",
        "ResourceType=network-interface,Tags=[{Key=team,Value=blue}]",
    )["NetworkInterface"]
    assert len(made["PrivateIpAddresses"]) == 3
    eni_id = made["NetworkInterfaceId"]
    attached = aws(
        "ec2",
        "attach-network-interface",
        "--network-interface-id",
        eni_id,
        "--instance-id",
        site.instance.instance_id,
        "--device-index",
        "1",
    )
    assert attached["AttachmentId"].startswith("eni-attach-")
    given = aws("ec2", "assign-private-ip-addresses", "--network-interface-id", eni_id, "--ipv4-prefix-count", "1")[
        "AssignedIpv4Prefixes"
    ]
    assert given[0]["Ipv4Prefix"].endswith("/28")
    listed = aws(
        "ec2", "describe-network-interfaces", "--filters", "Name=tag:team,Values=bl*", "Name=status,Values=in-use"
    )["NetworkInterfaces"]
    assert [eni["NetworkInterfaceId"] for eni in listed] == [eni_id]
    assert "PrivateIpAddressLimitExceeded" in aws(
        "ec2",
        "assign-private-ip-addresses",
        "--network-interface-id",
        eni_id,
        "--secondary-private-ip-address-count",
        "7",
    )
    assert aws("ec2", "detach-network-interface", "--attachment-id", attached["AttachmentId"]) is None
    assert aws("ec2", "delete-network-interface", "--network-interface-id", eni_id) is None


def test_an_instance_and_pages_by_the_command_line(site: Any, aws: Any) -> None:
    started = aws(
        "ec2",
        "run-instances",
        "--image-id",
        "ami-0123456789abcdef0",
        "--instance-type",
        "m5.large",
        "--subnet-id",
        site.subnet.subnet_id,
        "--secondary-private-ip-address-count",
        "1",
        "--associate-public-ip-address",
    )["Instances"][0]
    assert started["PublicIpAddress"].startswith("198.18.")
    assert len(started["NetworkInterfaces"][0]["PrivateIpAddresses"]) == 2
    for _ in range(6):
        site.new_eni()
    listed = aws("ec2", "describe-network-interfaces", "--page-size", "5")["NetworkInterfaces"]
    assert len(listed) == 8
    ended = aws("ec2", "terminate-instances", "--instance-ids", started["InstanceId"])
    assert ended["TerminatingInstances"][0]["CurrentState"]["Name"] == "terminated"


def test_who_am_i_and_refusals_by_the_command_line(site: Any, aws: Any) -> None:
    assert aws("sts", "get-caller-identity")["Account"] == "123456789012"
    assert aws("ec2", "describe-regions")["Regions"][0]["RegionName"] == "us-west-2"
    assert "(InvalidSubnetID.NotFound)" in aws("ec2", "create-network-interface", "--subnet-id", "subnet-1")
    assert "(DryRunOperation)" in aws(
        "ec2", "create-network-interface", "--subnet-id", site.subnet.subnet_id, "--dry-run"
    )
