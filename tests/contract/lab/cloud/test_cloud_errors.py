"""The errors of the lab's EC2: codes, messages and statuses as EC2 sends them."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from vpc_cni.lab.cloud import SubnetFull

Refused = Callable[..., tuple[str, str, int]]
NO_ENI = "eni-0123456789abcdef0"


@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        (
            "describe_network_interfaces",
            {"NetworkInterfaceIds": [NO_ENI]},
            ("InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{NO_ENI}' does not exist"),
        ),
        (
            "delete_network_interface",
            {"NetworkInterfaceId": NO_ENI},
            ("InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{NO_ENI}' does not exist"),
        ),
        (
            "create_network_interface",
            {"SubnetId": "subnet-1"},
            ("InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist"),
        ),
        (
            "describe_subnets",
            {"SubnetIds": ["subnet-1"]},
            ("InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist"),
        ),
        (
            "describe_security_groups",
            {"GroupIds": ["sg-1"]},
            ("InvalidGroup.NotFound", "The security group 'sg-1' does not exist"),
        ),
        ("describe_vpcs", {"VpcIds": ["vpc-1"]}, ("InvalidVpcID.NotFound", "The vpc ID 'vpc-1' does not exist")),
        (
            "describe_instances",
            {"InstanceIds": ["i-1"]},
            ("InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist"),
        ),
        (
            "terminate_instances",
            {"InstanceIds": ["i-1", "i-2"]},
            ("InvalidInstanceID.NotFound", "The instance IDs 'i-1, i-2' do not exist"),
        ),
        (
            "detach_network_interface",
            {"AttachmentId": "eni-attach-1"},
            ("InvalidAttachmentID.NotFound", "The attachment ID 'eni-attach-1' does not exist"),
        ),
        (
            "describe_instance_types",
            {"InstanceTypes": ["m5.tiny"]},
            ("InvalidInstanceType", "The following supplied instance types do not exist: [m5.tiny]"),
        ),
        (
            "describe_network_interfaces",
            {"Filters": [{"Name": "colour", "Values": ["red"]}]},
            ("InvalidParameterValue", "The filter 'colour' is invalid"),
        ),
        (
            "describe_network_interfaces",
            {"MaxResults": 3},
            (
                "InvalidParameterValue",
                "Value ( 3 ) for parameter maxResults is invalid. Expecting a value greater than 5.",
            ),
        ),
        (
            "describe_network_interfaces",
            {"NextToken": "bogus"},
            ("InvalidNextToken", "The token is invalid or has expired."),
        ),
        ("create_vpc", {"CidrBlock": "10.0.0.0/8"}, ("InvalidVpc.Range", "The CIDR '10.0.0.0/8' is invalid.")),
        (
            "create_tags",
            {"Resources": [NO_ENI], "Tags": [{"Key": "a", "Value": "b"}]},
            ("InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{NO_ENI}' does not exist"),
        ),
        (
            "delete_subnet_cidr_reservation",
            {"SubnetCidrReservationId": "scr-1"},
            ("InvalidSubnetCidrReservationID.NotFound", "The subnet CIDR reservation ID 'scr-1' does not exist"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "_" in value else None,
)
def test_error_without_state(
    site: Any, refused: Refused, call: str, arguments: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert refused(getattr(site.ec2, call), **arguments) == (*expected, 400)


def test_group_of_another_vpc_is_refused(site: Any, refused: Refused) -> None:
    other = site.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    group = site.ec2.create_security_group(VpcId=other, GroupName="x", Description="x")["GroupId"]
    code, message, _ = refused(site.ec2.create_network_interface, SubnetId=site.subnet.subnet_id, Groups=[group])
    assert code == "InvalidParameter"
    assert "belong to different networks" in message
    assert refused(site.ec2.create_network_interface, SubnetId=site.subnet.subnet_id, Groups=["sg-9"])[0] == (
        "InvalidGroup.NotFound"
    )


def test_attaching_beyond_the_types_interfaces_is_refused(site: Any, refused: Refused) -> None:
    for index in (1, 2):
        site.attach(site.new_eni(), index)
    code, message, _ = refused(
        site.ec2.attach_network_interface,
        NetworkInterfaceId=site.new_eni(),
        InstanceId=site.instance.instance_id,
        DeviceIndex=3,
    )
    assert (code, message) == ("AttachmentLimitExceeded", "Interface count 4 exceeds the limit for m5.large")


def test_attaching_twice_or_at_a_taken_index_is_refused(site: Any, refused: Refused) -> None:
    first, second = site.new_eni(), site.new_eni()
    site.attach(first)
    place = {"InstanceId": site.instance.instance_id, "DeviceIndex": 1}
    assert refused(site.ec2.attach_network_interface, NetworkInterfaceId=first, **place)[:2] == (
        "InvalidNetworkInterface.InUse",
        f"Interface: [{first}] in use.",
    )
    assert refused(site.ec2.attach_network_interface, NetworkInterfaceId=second, **place)[:2] == (
        "InvalidParameterValue",
        f"Instance '{site.instance.instance_id}' already has an interface attached at device index '1'.",
    )


def test_attached_interfaces_and_used_groups_cannot_be_deleted(site: Any, refused: Refused) -> None:
    group = site.ec2.create_security_group(VpcId=site.vpc.vpc_id, GroupName="web", Description="x")["GroupId"]
    eni_id = site.new_eni(Groups=[group])
    site.attach(eni_id)
    assert refused(site.ec2.delete_network_interface, NetworkInterfaceId=eni_id)[:2] == (
        "InvalidParameterValue",
        f"Network interface '{eni_id}' is currently in use.",
    )
    assert refused(site.ec2.delete_security_group, GroupId=group)[0] == "DependencyViolation"
    assert refused(site.ec2.delete_subnet, SubnetId=site.subnet.subnet_id)[0] == "DependencyViolation"
    assert refused(site.ec2.delete_vpc, VpcId=site.vpc.vpc_id)[0] == "DependencyViolation"


def test_the_primary_interface_cannot_be_detached(site: Any, refused: Refused) -> None:
    enis = site.ec2.describe_instances(InstanceIds=[site.instance.instance_id])["Reservations"][0]["Instances"][0]
    attachment = enis["NetworkInterfaces"][0]["Attachment"]["AttachmentId"]
    assert refused(site.ec2.detach_network_interface, AttachmentId=attachment)[0] == "OperationNotPermitted"


def test_addresses_beyond_the_types_limit_are_refused(site: Any, refused: Refused) -> None:
    eni_id = site.new_eni(SecondaryPrivateIpAddressCount=8)
    site.attach(eni_id)
    assign = site.ec2.assign_private_ip_addresses
    assert refused(assign, NetworkInterfaceId=eni_id, SecondaryPrivateIpAddressCount=2)[:2] == (
        "PrivateIpAddressLimitExceeded",
        "Number of private addresses will exceed limit.",
    )
    # A prefix takes one slot, as an address does.
    assign(NetworkInterfaceId=eni_id, Ipv4PrefixCount=1)
    assert refused(assign, NetworkInterfaceId=eni_id, Ipv4PrefixCount=1)[0] == "PrivateIpAddressLimitExceeded"


def test_an_interface_with_too_many_addresses_cannot_be_attached(site: Any, refused: Refused) -> None:
    place = {"InstanceId": site.instance.instance_id, "DeviceIndex": 1}
    full = site.new_eni(SecondaryPrivateIpAddressCount=10)
    assert refused(site.ec2.attach_network_interface, NetworkInterfaceId=full, **place)[0] == (
        "PrivateIpAddressLimitExceeded"
    )


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("10.9.9.9", "Address does not fall within the subnet's address range"),
        ("10.0.0.3", "Address is in subnet's reserved address range"),
        ("10.0.0.255", "Address is in subnet's reserved address range"),
    ],
)
def test_impossible_addresses_are_refused(site: Any, refused: Refused, address: str, message: str) -> None:
    eni_id = site.new_eni()
    assign = site.ec2.assign_private_ip_addresses
    assert refused(assign, NetworkInterfaceId=eni_id, PrivateIpAddresses=[address])[:2] == (
        "InvalidParameterValue",
        message,
    )
    assert site.eni(eni_id)["PrivateIpAddresses"][1:] == []


def test_an_address_moves_only_when_asked_to(site: Any, refused: Refused) -> None:
    old = site.new_eni(PrivateIpAddresses=[{"PrivateIpAddress": "10.0.0.50", "Primary": False}])
    new = site.new_eni()
    assign = site.ec2.assign_private_ip_addresses
    arguments = {"NetworkInterfaceId": new, "PrivateIpAddresses": ["10.0.0.50"]}
    assert refused(assign, **arguments)[:2] == (
        "InvalidParameterValue",
        "[10.0.0.50] is assigned, but move is not allowed",
    )
    assign(**arguments, AllowReassignment=True)
    assert [item["PrivateIpAddress"] for item in site.eni(new)["PrivateIpAddresses"][1:]] == ["10.0.0.50"]
    assert site.eni(old)["PrivateIpAddresses"][1:] == []


def test_unassigning_what_is_not_there_is_refused_as_a_whole(site: Any, refused: Refused) -> None:
    eni_id = site.new_eni(PrivateIpAddresses=[{"PrivateIpAddress": "10.0.0.50", "Primary": False}])
    primary = site.eni(eni_id)["PrivateIpAddress"]
    unassign = site.ec2.unassign_private_ip_addresses
    for wrong in ("10.0.0.51", primary):
        assert refused(unassign, NetworkInterfaceId=eni_id, PrivateIpAddresses=["10.0.0.50", wrong])[:2] == (
            "InvalidParameterValue",
            f"Some of the specified addresses are not assigned to interface {eni_id}",
        )
    assert len(site.eni(eni_id)["PrivateIpAddresses"]) == 2


def test_a_small_subnet_runs_out_of_addresses_then_of_blocks(site: Any, refused: Refused) -> None:
    subnet = site.ec2.create_subnet(VpcId=site.vpc.vpc_id, CidrBlock="10.0.9.0/27")["Subnet"]
    assert subnet["AvailableIpAddressCount"] == 27
    create = site.ec2.create_network_interface
    assert refused(create, SubnetId=subnet["SubnetId"], SecondaryPrivateIpAddressCount=27)[:2] == (
        "InsufficientFreeAddressesInSubnet",
        "The specified subnet does not have enough free addresses to satisfy the request.",
    )
    # Both /28 blocks of a /27 hold a reserved address: plenty of addresses, no block.
    assert refused(create, SubnetId=subnet["SubnetId"], Ipv4PrefixCount=1)[:2] == (
        "InsufficientCidrBlocks",
        "The specified subnet does not have enough free cidr blocks to satisfy the request.",
    )
    assert refused(create, SubnetId=subnet["SubnetId"], Ipv4PrefixCount=2)[:2] == (
        "InvalidParameterValue",
        "There aren't sufficient free Ipv4 addresses or prefixes",
    )
    left = site.ec2.describe_subnets(SubnetIds=[subnet["SubnetId"]])["Subnets"][0]
    assert left["AvailableIpAddressCount"] == 27


def test_a_subnet_made_full_gives_nothing_and_says_so(site: Any, refused: Refused) -> None:
    eni_id = site.new_eni()
    number = site.do(lambda cloud: cloud.faults.add(SubnetFull(site.subnet.subnet_id)))
    assign = site.ec2.assign_private_ip_addresses
    assert refused(assign, NetworkInterfaceId=eni_id, SecondaryPrivateIpAddressCount=1)[0] == (
        "InsufficientFreeAddressesInSubnet"
    )
    assert refused(assign, NetworkInterfaceId=eni_id, Ipv4PrefixCount=1)[0] == "InsufficientCidrBlocks"
    shown = site.ec2.describe_subnets(SubnetIds=[site.subnet.subnet_id])["Subnets"][0]
    assert shown["AvailableIpAddressCount"] == 0
    site.do(lambda cloud: cloud.faults.remove(number))
    assign(NetworkInterfaceId=eni_id, SecondaryPrivateIpAddressCount=1)


def test_parameters_that_exclude_each_other_are_refused(site: Any, refused: Refused) -> None:
    eni_id = site.new_eni()
    assign = site.ec2.assign_private_ip_addresses
    assert refused(assign, NetworkInterfaceId=eni_id)[0] == "MissingParameter"
    code, message, _ = refused(assign, NetworkInterfaceId=eni_id, SecondaryPrivateIpAddressCount=1, Ipv4PrefixCount=1)
    assert code == "InvalidParameterCombination"
    assert "SecondaryPrivateIpAddressCount and Ipv4PrefixCount" in message
    code, _, _ = refused(
        site.ec2.modify_network_interface_attribute,
        NetworkInterfaceId=eni_id,
        Description={"Value": "x"},
        SourceDestCheck={"Value": False},
    )
    assert code == "InvalidParameterCombination"


def test_an_operation_or_a_parameter_that_the_lab_does_not_have_is_refused_by_name(site: Any, refused: Refused) -> None:
    assert refused(site.ec2.describe_volumes)[:2] == (
        "InvalidAction",
        "The action DescribeVolumes is not valid for this web service.",
    )
    code, message, _ = refused(
        site.ec2.create_network_interface, SubnetId=site.subnet.subnet_id, EnablePrimaryIpv6=True
    )
    assert (code, message) == ("UnknownParameter", "The parameter EnablePrimaryIpv6 is not recognized")


def test_dry_run_changes_nothing(site: Any, refused: Refused) -> None:
    before = len(site.cloud.interfaces)
    assert refused(site.ec2.create_network_interface, SubnetId=site.subnet.subnet_id, DryRun=True) == (
        "DryRunOperation",
        "Request would have succeeded, but DryRun flag is set.",
        412,
    )
    assert len(site.cloud.interfaces) == before


def test_a_client_token_gives_the_first_answer_again(site: Any, refused: Refused) -> None:
    arguments = {"SubnetId": site.subnet.subnet_id, "SecondaryPrivateIpAddressCount": 2, "ClientToken": "once"}
    first = site.ec2.create_network_interface(**arguments)
    again = site.ec2.create_network_interface(**arguments)
    assert first["NetworkInterface"] == again["NetworkInterface"]
    assert len(site.cloud.interfaces) == 2
    assert refused(site.ec2.create_network_interface, **(arguments | {"Description": "other"}))[0] == (
        "IdempotentParameterMismatch"
    )


def test_a_failed_call_may_be_repeated_with_its_client_token(site: Any) -> None:
    number = site.do(lambda cloud: cloud.faults.add(SubnetFull(site.subnet.subnet_id)))
    arguments = {"SubnetId": site.subnet.subnet_id, "ClientToken": "again"}
    with pytest.raises(ClientError):
        site.ec2.create_network_interface(**arguments)
    site.do(lambda cloud: cloud.faults.remove(number))
    assert site.ec2.create_network_interface(**arguments)["NetworkInterface"]["SubnetId"] == site.subnet.subnet_id
