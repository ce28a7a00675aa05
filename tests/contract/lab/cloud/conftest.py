"""A cloud on loopback with a VPC, and a boto3 client of which every answer is held against botocore's service model."""

import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import OperationModel, Shape

from vpc_cni.lab.cloud import Cloud, CloudSettings, instances, networks
from vpc_cni.lab.cloud.records import Instance, Subnet, Vpc
from vpc_cni.lab.cloud.running import RunningCloud

# An instance type that AWS does not have, so botocore's enumeration cannot know it.
LAB_ONLY = {"lab.max"}


@dataclass
class Site:
    """A running cloud with one VPC, one subnet and one m5.large."""

    running: RunningCloud
    vpc: Vpc
    subnet: Subnet
    instance: Instance
    ec2: Any
    answered: set[str]

    @property
    def cloud(self) -> Cloud:
        return self.running.cloud

    def do(self, work: Callable[[Cloud], Any]) -> Any:
        return self.running.do(work)

    def new_eni(self, **more: Any) -> str:
        made = self.ec2.create_network_interface(SubnetId=self.subnet.subnet_id, **more)
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    def attach(self, eni_id: str, index: int = 1) -> str:
        made = self.ec2.attach_network_interface(
            NetworkInterfaceId=eni_id, InstanceId=self.instance.instance_id, DeviceIndex=index
        )
        return str(made["AttachmentId"])

    def eni(self, eni_id: str) -> dict[str, Any]:
        found = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni_id])["NetworkInterfaces"]
        return dict(found[0])


@pytest.fixture
def running() -> Iterator[RunningCloud]:
    with RunningCloud(Cloud(CloudSettings(), seed=7)) as started:
        yield started


@pytest.fixture
def site(running: RunningCloud) -> Site:
    vpc = running.do(lambda cloud: networks.create_vpc(cloud, IPv4Network("10.0.0.0/16"), ipv6=True))
    assert vpc.ipv6_cidr is not None
    first64 = IPv6Network((int(vpc.ipv6_cidr.network_address), 64))
    subnet = running.do(
        lambda cloud: networks.create_subnet(cloud, vpc.vpc_id, IPv4Network("10.0.0.0/24"), ipv6_cidr=first64)
    )
    request = instances.simple_request(subnet.subnet_id, "m5.large", role_name="node")
    instance = running.do(lambda cloud: instances.run(cloud, request))
    client, answered = checked_client(running)
    return Site(running, vpc, subnet, instance, client, answered)


def checked_client(running: RunningCloud, service: str = "ec2") -> tuple[Any, set[str]]:
    """Return a client that leaves all checks to the server, and the operations whose answers it has checked."""
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, parameter_validation=False)
    client = boto3.client(**running.client_arguments(service), config=config)
    answered: set[str] = set()

    def check(operation_model: OperationModel, response_dict: dict[str, Any], **_: Any) -> None:
        if response_dict["status_code"] == 200:
            check_answer(operation_model, response_dict["body"])
            answered.add(operation_model.name)

    client.meta.events.register(f"before-parse.{service}", check)
    return client, answered


def check_answer(operation: OperationModel, body: bytes) -> None:
    """Assert that an answer holds only members of the service model, each of its type and once."""
    root = ElementTree.fromstring(body)  # noqa: S314 - our own server's answer
    assert local(root) == f"{operation.name}Response"
    if operation.service_model.metadata["protocol"] == "query":
        root = next(element for element in root if local(element) == f"{operation.name}Result")
    elements = [element for element in root if local(element) not in {"requestId", "ResponseMetadata"}]
    if operation.output_shape is None:
        assert [local(element) for element in elements] == ["return"]
        return
    # EC2 sends <return> beside what some models list; parsers skip it.
    known = {wire_name(name, member) for name, member in operation.output_shape.members.items()}
    elements = [element for element in elements if local(element) in known or local(element) != "return"]
    check_members(operation.output_shape, elements, operation.name)


def check_members(shape: Shape, elements: list[ElementTree.Element], where: str) -> None:
    members = {wire_name(name, member): member for name, member in shape.members.items()}
    names = [local(element) for element in elements]
    assert len(set(names)) == len(names), f"{where}: repeated members in {names}"
    for element in elements:
        assert local(element) in members, f"{where}: {local(element)} is not in the model"
        check_value(members[local(element)], element, f"{where}.{local(element)}")


def check_value(shape: Shape, element: ElementTree.Element, where: str) -> None:
    text = element.text or ""
    match shape.type_name:
        case "structure":
            assert len(element) > 0, f"{where} is an empty structure"
            check_members(shape, list(element), where)
        case "list":
            for item in element:
                assert local(item) == shape.member.serialization.get("name", "member"), where
                check_value(shape.member, item, f"{where}[]")
        case "boolean":
            assert text in {"true", "false"}, where
        case "integer" | "long":
            int(text)
        case "double" | "float":
            float(text)
        case "timestamp":
            assert text.endswith("Z"), where
        case "string":
            assert not len(element), where
            assert not shape.enum or text in {*shape.enum, *LAB_ONLY}, f"{where}: {text}"
        case other:
            raise AssertionError(f"{where}: {other} is not expected in EC2's answers")


def wire_name(name: str, member: Shape) -> str:
    return str(member.serialization.get("name", name))


def local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str, int]:
    """Return code, message and HTTP status of the error that a call must end with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def exchange(url: str, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], str]:
    """Send one request on a connection of its own; returns status, headers (lower case) and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(method, url.partition(parts.netloc)[2] or "/", headers=headers or {})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


@pytest.fixture
def fetch() -> Callable[..., tuple[int, dict[str, str], str]]:
    return exchange


@pytest.fixture
def refused() -> Callable[..., tuple[str, str, int]]:
    return error_of


@pytest.fixture
def client_of() -> Callable[..., tuple[Any, set[str]]]:
    return checked_client
