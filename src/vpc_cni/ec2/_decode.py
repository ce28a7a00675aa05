"""EC2 answers to result types. Pure; unknown elements are skipped, missing ones are empty.

Raises ValueError for a value that is not what its name says, and for an answer that lacks its very subject.
"""

from ipaddress import IPv4Address, IPv4Network
from xml.etree.ElementTree import Element

from vpc_cni.ec2._xml import flag, items, number, text
from vpc_cni.ec2.results import Attachment, Instance, InstanceType, NetworkCard, NetworkInterface, Subnet


def nothing(_answer: Element) -> None:
    """Read an answer that says only that the call succeeded."""


def next_token(answer: Element) -> str:
    """Read the token of the next page; empty on the last one."""
    return text(answer, "nextToken")


def created_interface(answer: Element) -> NetworkInterface:
    """Read the answer of CreateNetworkInterface."""
    created = answer.find("networkInterface")
    if created is None or not text(created, "networkInterfaceId"):
        raise ValueError("it names no network interface")
    return network_interface(created)


def attachment_id(answer: Element) -> str:
    """Read the answer of AttachNetworkInterface."""
    found = text(answer, "attachmentId")
    if not found:
        raise ValueError("it names no attachment")
    return found


def assigned_addresses(answer: Element) -> tuple[IPv4Address, ...]:
    """Read the answer of AssignPrivateIpAddresses."""
    return tuple(_address(item) for item in items(answer, "assignedPrivateIpAddressesSet"))


def network_interfaces(answer: Element) -> tuple[NetworkInterface, ...]:
    return tuple(network_interface(item) for item in items(answer, "networkInterfaceSet"))


def instances(answer: Element) -> tuple[Instance, ...]:
    """Read all instances of all reservations; a reservation is one RunInstances call and means nothing to us."""
    reservations = items(answer, "reservationSet")
    return tuple(instance(item) for reservation in reservations for item in items(reservation, "instancesSet"))


def instance_types(answer: Element) -> tuple[InstanceType, ...]:
    return tuple(instance_type(item) for item in items(answer, "instanceTypeSet"))


def subnets(answer: Element) -> tuple[Subnet, ...]:
    return tuple(subnet(item) for item in items(answer, "subnetSet"))


def network_interface(element: Element) -> NetworkInterface:
    """Read a ``networkInterface`` of Create, or an item of DescribeNetworkInterfaces or DescribeInstances."""
    addresses = items(element, "privateIpAddressesSet")
    return NetworkInterface(
        eni_id=text(element, "networkInterfaceId"),
        mac=text(element, "macAddress"),
        status=text(element, "status"),
        subnet_id=text(element, "subnetId"),
        vpc_id=text(element, "vpcId"),
        zone=text(element, "availabilityZone"),
        description=text(element, "description"),
        interface_type=text(element, "interfaceType") or "interface",
        primary_address=_primary_address(element, addresses),
        addresses=tuple(_address(item) for item in addresses if not flag(item, "primary")),
        prefixes=tuple(IPv4Network(text(item, "ipv4Prefix")) for item in items(element, "ipv4PrefixSet")),
        security_groups=tuple(text(item, "groupId") for item in items(element, "groupSet")),
        tags=tags(element),
        attachment=_attachment(element),
    )


def instance(element: Element) -> Instance:
    return Instance(
        instance_id=text(element, "instanceId"),
        instance_type=text(element, "instanceType"),
        state=text(element, "instanceState/name"),
        subnet_id=text(element, "subnetId"),
        vpc_id=text(element, "vpcId"),
        zone=text(element, "placement/availabilityZone"),
        network_interfaces=tuple(network_interface(item) for item in items(element, "networkInterfaceSet")),
        tags=tags(element),
    )


def instance_type(element: Element) -> InstanceType:
    network = element.find("networkInfo")
    network = element if network is None else network
    cards = tuple(
        NetworkCard(number(item, "networkCardIndex"), number(item, "maximumNetworkInterfaces"))
        for item in items(network, "networkCards")
    )
    return InstanceType(
        name=text(element, "instanceType"),
        maximum_interfaces=number(network, "maximumNetworkInterfaces"),
        ipv4_addresses_per_interface=number(network, "ipv4AddressesPerInterface"),
        default_network_card=number(network, "defaultNetworkCardIndex"),
        network_cards=cards,
        hypervisor=text(element, "hypervisor"),
        bare_metal=flag(element, "bareMetal"),
    )


def subnet(element: Element) -> Subnet:
    return Subnet(
        subnet_id=text(element, "subnetId"),
        vpc_id=text(element, "vpcId"),
        zone=text(element, "availabilityZone"),
        cidr=IPv4Network(text(element, "cidrBlock")),
        free_addresses=number(element, "availableIpAddressCount"),
        tags=tags(element),
    )


def tags(element: Element) -> dict[str, str]:
    """Read tags; interfaces call them ``tagSet`` wherever they appear, as does everything else."""
    return {text(item, "key"): text(item, "value") for item in items(element, "tagSet")}


def _attachment(element: Element) -> Attachment | None:
    found = element.find("attachment")
    if found is None or not text(found, "attachmentId"):
        return None
    return Attachment(
        attachment_id=text(found, "attachmentId"),
        instance_id=text(found, "instanceId"),
        device_number=number(found, "deviceIndex"),
        network_card=number(found, "networkCardIndex"),
        status=text(found, "status"),
        delete_on_termination=flag(found, "deleteOnTermination"),
    )


def _primary_address(element: Element, addresses: list[Element]) -> IPv4Address | None:
    for item in addresses:
        if flag(item, "primary"):
            return _address(item)
    alone = text(element, "privateIpAddress")
    return IPv4Address(alone) if alone else None


def _address(item: Element) -> IPv4Address:
    return IPv4Address(text(item, "privateIpAddress"))
