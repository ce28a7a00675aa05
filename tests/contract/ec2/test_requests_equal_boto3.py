"""The same call through our client and through boto3 puts the same bytes and the same signature on the wire."""

import calendar
import time
from dataclasses import replace
from ipaddress import IPv4Address

import boto3
import pytest
from botocore.config import Config

from vpc_cni.ec2._signing import sign_query
from vpc_cni.ec2.credentials import Credentials

TOKEN = "3f8f8a4e-0000-4000-8000-000000000001"
TAGS = {"node.k8s.amazonaws.com/instance_id": "i-1", "eks:eni:owner": "amazon-vpc-cni", "note": "a b&c=ü~*'/+"}
TAG_LIST = [{"Key": key, "Value": value} for key, value in TAGS.items()]
FILTERS = {"tag-key": ["node.k8s.amazonaws.com/instance_id"], "status": ["available", "in-use"]}
FILTER_LIST = [{"Name": name, "Values": values} for name, values in FILTERS.items()]

ANSWERS = {
    "CreateNetworkInterface": b"<R><networkInterface><networkInterfaceId>eni-1</networkInterfaceId>"
    b"</networkInterface></R>",
    "AttachNetworkInterface": b"<R><attachmentId>eni-attach-1</attachmentId></R>",
    "DescribeInstances": b"<R><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId></item>"
    b"</instancesSet></item></reservationSet></R>",
    "DescribeInstanceTypes": b"<R><instanceTypeSet><item><instanceType>m5.large</instanceType></item>"
    b"</instanceTypeSet></R>",
}

CASES = {
    "create": (
        lambda ec2: ec2.create_network_interface(
            subnet_id="subnet-1",
            security_groups=["sg-1", "sg-2"],
            description="aws-K8S-i-1",
            tags=TAGS,
            secondary_address_count=14,
            client_token=TOKEN,
        ),
        "create_network_interface",
        {
            "SubnetId": "subnet-1",
            "Groups": ["sg-1", "sg-2"],
            "Description": "aws-K8S-i-1",
            "TagSpecifications": [{"ResourceType": "network-interface", "Tags": TAG_LIST}],
            "SecondaryPrivateIpAddressCount": 14,
            "ClientToken": TOKEN,
        },
    ),
    "create without addresses or tags": (
        lambda ec2: ec2.create_network_interface(
            subnet_id="subnet-1", security_groups=[], description="d", tags={}, client_token=TOKEN
        ),
        "create_network_interface",
        {"SubnetId": "subnet-1", "Groups": [], "Description": "d", "TagSpecifications": [], "ClientToken": TOKEN},
    ),
    "attach": (
        lambda ec2: ec2.attach_network_interface(eni_id="eni-1", instance_id="i-1", device_number=2),
        "attach_network_interface",
        {"NetworkInterfaceId": "eni-1", "InstanceId": "i-1", "DeviceIndex": 2},
    ),
    "attach to a card": (
        lambda ec2: ec2.attach_network_interface(eni_id="eni-1", instance_id="i-1", device_number=2, network_card=1),
        "attach_network_interface",
        {"NetworkInterfaceId": "eni-1", "InstanceId": "i-1", "DeviceIndex": 2, "NetworkCardIndex": 1},
    ),
    "delete on termination": (
        lambda ec2: ec2.set_delete_on_termination(eni_id="eni-1", attachment_id="eni-attach-1"),
        "modify_network_interface_attribute",
        {"NetworkInterfaceId": "eni-1", "Attachment": {"AttachmentId": "eni-attach-1", "DeleteOnTermination": True}},
    ),
    "security groups": (
        lambda ec2: ec2.set_security_groups(eni_id="eni-1", security_groups=["sg-1", "sg-2"]),
        "modify_network_interface_attribute",
        {"NetworkInterfaceId": "eni-1", "Groups": ["sg-1", "sg-2"]},
    ),
    "assign": (
        lambda ec2: ec2.assign_private_ip_addresses(eni_id="eni-1", count=5),
        "assign_private_ip_addresses",
        {"NetworkInterfaceId": "eni-1", "SecondaryPrivateIpAddressCount": 5},
    ),
    "unassign": (
        lambda ec2: ec2.unassign_private_ip_addresses(
            eni_id="eni-1", addresses=[IPv4Address("10.0.0.4"), IPv4Address("10.0.0.5")]
        ),
        "unassign_private_ip_addresses",
        {"NetworkInterfaceId": "eni-1", "PrivateIpAddresses": ["10.0.0.4", "10.0.0.5"]},
    ),
    "detach": (
        lambda ec2: ec2.detach_network_interface(attachment_id="eni-attach-1"),
        "detach_network_interface",
        {"AttachmentId": "eni-attach-1"},
    ),
    "delete": (
        lambda ec2: ec2.delete_network_interface(eni_id="eni-1"),
        "delete_network_interface",
        {"NetworkInterfaceId": "eni-1"},
    ),
    "tags": (
        lambda ec2: ec2.create_tags(resource_ids=["eni-1", "eni-2"], tags=TAGS),
        "create_tags",
        {"Resources": ["eni-1", "eni-2"], "Tags": TAG_LIST},
    ),
    "interfaces by id": (
        lambda ec2: ec2.describe_network_interfaces(ids=["eni-1", "eni-2"]),
        "describe_network_interfaces",
        {"NetworkInterfaceIds": ["eni-1", "eni-2"]},
    ),
    "interfaces by filter": (
        lambda ec2: list(ec2.find_network_interfaces(filters=FILTERS, page_size=50)),
        "describe_network_interfaces",
        {"Filters": FILTER_LIST, "MaxResults": 50},
    ),
    "own instance": (
        lambda ec2: ec2.describe_instance(instance_id="i-1"),
        "describe_instances",
        {"InstanceIds": ["i-1"]},
    ),
    "other instances": (
        lambda ec2: ec2.describe_instances(ids=["i-1", "i-2"]),
        "describe_instances",
        {"Filters": [{"Name": "instance-id", "Values": ["i-1", "i-2"]}], "MaxResults": 200},
    ),
    "instance type": (
        lambda ec2: ec2.describe_instance_type(name="m5.large"),
        "describe_instance_types",
        {"InstanceTypes": ["m5.large"]},
    ),
    "subnets": (
        lambda ec2: ec2.describe_subnets(ids=["subnet-1"], filters={"vpc-id": ["vpc-1"]}),
        "describe_subnets",
        {"Filters": [{"Name": "vpc-id", "Values": ["vpc-1"]}], "SubnetIds": ["subnet-1"]},
    ),
}


@pytest.fixture(scope="module")
def boto_session():
    return boto3.Session("AKIDEXAMPLE", "wJalr", "tok/en==", region_name="us-west-2")


@pytest.fixture(scope="module")
def boto_service_cache(boto_session):
    """Load the service model once: it takes longer than all cases together."""
    boto_session.client("ec2", endpoint_url="http://127.0.0.1:1")
    return boto_session


@pytest.mark.parametrize("case", CASES)
def test_request(case, server, connect, boto_service_cache):
    ours, method, arguments = CASES[case]
    server.otherwise = _answer_by_action
    boto = boto_service_cache.client("ec2", endpoint_url=server.url, config=Config(retries={"max_attempts": 0}))

    ours(connect().client)
    getattr(boto, method)(**arguments)

    mine, theirs = server.received
    assert mine.body == theirs.body
    assert (mine.method, mine.path) == (theirs.method, theirs.path)
    for name in ("host", "content-type", "content-length", "x-amz-security-token"):
        assert mine.headers[name] == theirs.headers[name]
    assert _signed_headers(mine) == _signed_headers(theirs)
    # Signed at boto3's second, our request carries boto3's signature: the canonical requests are equal.
    assert _resigned(server.url, mine, at=theirs.headers["x-amz-date"]) == theirs.headers["authorization"]


def _answer_by_action(connection, request):
    body = ANSWERS.get(request.form["Action"], b"<R/>")
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return True


def _signed_headers(request) -> str:
    return request.headers["authorization"].split("SignedHeaders=")[1].split(",")[0]


def _resigned(url, request, at: str) -> str:
    headers = sign_query(
        url=url + "/",
        body=request.body,
        service="ec2",
        region="us-west-2",
        credentials=Credentials("AKIDEXAMPLE", "wJalr", "tok/en=="),
        unix_seconds=calendar.timegm(time.strptime(at, "%Y%m%dT%H%M%SZ")),
    )
    return headers["Authorization"]


def test_the_signature_is_of_the_moment_that_the_clock_says(server, connect, impatient):
    frozen = replace(impatient, wall_now=lambda: 1_700_000_000.0)
    connect(timing=frozen).client.describe_subnets(ids=["subnet-1"])
    (request,) = server.received
    assert request.headers["x-amz-date"] == "20231114T221320Z"
    assert _resigned(server.url, request, at="20231114T221320Z") == request.headers["authorization"]
