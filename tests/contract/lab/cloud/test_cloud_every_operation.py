"""Each operation of the lab's EC2 by boto3, each answer checked against botocore's model; and the tables against it."""

from typing import Any

import botocore.session
import pytest
from botocore.model import OperationModel

from vpc_cni.lab.cloud.ec2.service import EC2
from vpc_cni.lab.cloud.sts.service import STS


def query_names(model: OperationModel) -> set[str]:
    """Return the top-level parameter names of an operation as they go on the wire."""
    names = set()
    for name, member in model.input_shape.members.items() if model.input_shape else ():
        wire = member.serialization.get("queryName") or member.serialization.get("name", name)
        names.add(wire[0].upper() + wire[1:])
    return names


@pytest.mark.parametrize("service", [EC2, STS], ids=lambda service: service.name)
def test_every_parameter_of_the_tables_is_one_of_botocores(service: Any) -> None:
    model = botocore.session.get_session().get_service_model(service.name)
    for operation in service.operations.values():
        unknown = operation.parameters - query_names(model.operation_model(operation.name))
        assert not unknown, f"{operation.name}: {unknown}"


def test_every_operation_answers_by_the_model(site: Any) -> None:
    ec2 = site.ec2
    build_network(ec2)
    work_with_interfaces(site)
    work_with_instances(site)
    ec2.describe_availability_zones()
    ec2.describe_regions()
    assert site.answered == set(EC2.operations)


def build_network(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
    block6 = vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"].replace("/56", "/64")
    subnet = ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.9.1.0/24", Ipv6CidrBlock=block6)["Subnet"]
    ec2.modify_subnet_attribute(SubnetId=subnet["SubnetId"], MapPublicIpOnLaunch={"Value": True})
    group = ec2.create_security_group(
        VpcId=vpc["VpcId"],
        GroupName="web",
        Description="web",
        TagSpecifications=[{"ResourceType": "security-group", "Tags": [{"Key": "a", "Value": "b"}]}],
    )
    ec2.describe_vpcs()
    ec2.describe_subnets()
    ec2.describe_security_groups()
    made = ec2.create_subnet_cidr_reservation(
        SubnetId=subnet["SubnetId"], Cidr="10.9.1.64/26", ReservationType="prefix", Description="for prefixes"
    )["SubnetCidrReservation"]
    block6 = block6.replace("::/64", ":8000::/80")
    ec2.create_subnet_cidr_reservation(SubnetId=subnet["SubnetId"], Cidr=block6, ReservationType="explicit")
    listed = ec2.get_subnet_cidr_reservations(SubnetId=subnet["SubnetId"])
    assert [len(listed[f"SubnetIpv{n}CidrReservations"]) for n in (4, 6)] == [1, 1]
    ec2.delete_subnet_cidr_reservation(SubnetCidrReservationId=made["SubnetCidrReservationId"])
    ec2.delete_security_group(GroupId=group["GroupId"])
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=vpc["VpcId"])


def work_with_interfaces(site: Any) -> None:
    ec2 = site.ec2
    tags = [{"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "<&>"}]}]
    eni_id = site.new_eni(
        SecondaryPrivateIpAddressCount=2, Ipv6AddressCount=1, Description="<d>", TagSpecifications=tags, ClientToken="t"
    )
    attachment_id = site.attach(eni_id)
    ec2.modify_network_interface_attribute(
        NetworkInterfaceId=eni_id, Attachment={"AttachmentId": attachment_id, "DeleteOnTermination": True}
    )
    given = ec2.assign_private_ip_addresses(NetworkInterfaceId=eni_id, SecondaryPrivateIpAddressCount=1)
    blocks = ec2.assign_private_ip_addresses(NetworkInterfaceId=eni_id, Ipv4PrefixCount=1)
    given6 = ec2.assign_ipv6_addresses(NetworkInterfaceId=eni_id, Ipv6AddressCount=1)
    blocks6 = ec2.assign_ipv6_addresses(NetworkInterfaceId=eni_id, Ipv6PrefixCount=1)
    assert site.eni(eni_id)["TagSet"] == [{"Key": "a", "Value": "<&>"}]
    ec2.unassign_private_ip_addresses(
        NetworkInterfaceId=eni_id,
        PrivateIpAddresses=[item["PrivateIpAddress"] for item in given["AssignedPrivateIpAddresses"]],
    )
    ec2.unassign_private_ip_addresses(
        NetworkInterfaceId=eni_id, Ipv4Prefixes=[item["Ipv4Prefix"] for item in blocks["AssignedIpv4Prefixes"]]
    )
    ec2.unassign_ipv6_addresses(NetworkInterfaceId=eni_id, Ipv6Addresses=given6["AssignedIpv6Addresses"])
    ec2.unassign_ipv6_addresses(NetworkInterfaceId=eni_id, Ipv6Prefixes=blocks6["AssignedIpv6Prefixes"])
    ec2.create_tags(Resources=[eni_id], Tags=[{"Key": "more", "Value": "1"}])
    ec2.delete_tags(Resources=[eni_id], Tags=[{"Key": "a"}])
    tags_now = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [eni_id]}])["Tags"]
    assert [tag["Key"] for tag in tags_now] == ["more"]
    ec2.detach_network_interface(AttachmentId=attachment_id)
    ec2.delete_network_interface(NetworkInterfaceId=eni_id)


def work_with_instances(site: Any) -> None:
    ec2 = site.ec2
    ec2.describe_instance_types(InstanceTypes=["m5.large", "lab.max", "c5.metal"])
    started = ec2.run_instances(
        ImageId="ami-1",
        InstanceType="lab.max",
        MinCount=1,
        MaxCount=2,
        NetworkInterfaces=[
            {"DeviceIndex": 0, "SubnetId": site.subnet.subnet_id, "AssociatePublicIpAddress": True},
            {"DeviceIndex": 1, "SubnetId": site.subnet.subnet_id, "Ipv4PrefixCount": 1},
        ],
        IamInstanceProfile={"Name": "node"},
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "x"}]}],
    )["Instances"]
    ids = [instance["InstanceId"] for instance in started]
    ec2.modify_instance_metadata_options(InstanceId=ids[0], HttpPutResponseHopLimit=3)
    shown = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    assert [len(reservation["Instances"]) for reservation in shown] == [2]
    ec2.terminate_instances(InstanceIds=ids)
    gone = ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"]
    assert {instance["State"]["Name"] for instance in gone} == {"terminated"}
