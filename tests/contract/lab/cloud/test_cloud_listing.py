"""Filters, wildcards and pages of describe calls, as boto3 and its paginators use them."""

from typing import Any

import pytest


def found(site: Any, *filters: tuple[str, list[str]]) -> set[str]:
    answer = site.ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": vs} for name, vs in filters])
    return {eni["NetworkInterfaceId"] for eni in answer["NetworkInterfaces"]}


@pytest.fixture
def enis(site: Any) -> dict[str, str]:
    """Three interfaces: the instance's primary, one attached, one free."""
    tags = [{"ResourceType": "network-interface", "Tags": [{"Key": "team/name", "Value": "blue*"}]}]
    free = site.new_eni(
        Description="aws-K8S-i-1",
        TagSpecifications=tags,
        PrivateIpAddresses=[{"PrivateIpAddress": "10.0.0.50", "Primary": False}],
    )
    attached = site.new_eni(SecondaryPrivateIpAddressCount=1)
    site.attach(attached)
    primary = site.do(lambda cloud: cloud.interfaces_of(site.instance.instance_id)[0].eni_id)
    return {"primary": primary, "attached": attached, "free": free}


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ([("status", ["available"])], {"free"}),
        ([("status", ["in-use", "available"])], {"free", "attached", "primary"}),
        ([("attachment.status", ["attached"])], {"attached", "primary"}),
        ([("attachment.device-index", ["1"])], {"attached"}),
        ([("attachment.delete-on-termination", ["true"])], {"primary"}),
        ([("addresses.private-ip-address", ["10.0.0.50"])], {"free"}),
        ([("private-ip-address", ["10.0.0.50"])], set()),
        ([("description", ["aws-K8S-*"])], {"free"}),
        ([("description", ["aws-k8s-*"])], set()),
        ([("description", ["aws-K8S-i-?"])], {"free"}),
        ([("tag:team/name", ["blue\\*"])], {"free"}),
        ([("tag:team/name", ["bl*"])], {"free"}),
        ([("tag:team/name", ["blue"])], set()),
        ([("tag-key", ["team/name"])], {"free"}),
        ([("tag-key", ["team*", "other"]), ("status", ["in-use"])], set()),
        ([("group-name", ["default"])], {"free", "attached", "primary"}),
        ([("interface-type", ["efa"])], set()),
        ([("requester-managed", ["false"]), ("availability-zone", ["us-west-2a"])], {"free", "attached", "primary"}),
    ],
)
def test_filters(site: Any, enis: dict[str, str], filters: list[tuple[str, list[str]]], names: set[str]) -> None:
    assert found(site, *filters) == {enis[name] for name in names}


def test_filters_by_identity(site: Any, enis: dict[str, str]) -> None:
    assert found(site, ("attachment.instance-id", [site.instance.instance_id])) == {enis["primary"], enis["attached"]}
    assert found(site, ("subnet-id", [site.subnet.subnet_id])) == set(enis.values())
    assert found(site, ("vpc-id", ["vpc-0"])) == set()
    assert found(site, ("network-interface-id", [enis["free"], "eni-0"])) == {enis["free"]}
    mac = site.eni(enis["free"])["MacAddress"]
    assert found(site, ("mac-address", [mac])) == {enis["free"]}


def test_other_families_filter_too(site: Any) -> None:
    ec2 = site.ec2
    by_vpc = [{"Name": "vpc-id", "Values": [site.vpc.vpc_id]}]
    zone = [{"Name": "availability-zone", "Values": ["us-west-2?"]}]
    assert len(ec2.describe_subnets(Filters=by_vpc + zone)["Subnets"]) == 1
    assert len(ec2.describe_security_groups(Filters=by_vpc)["SecurityGroups"]) == 1
    assert len(ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.0.*"]}])["Vpcs"]) == 1
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    assert len(ec2.describe_instances(Filters=running)["Reservations"]) == 1
    nitro = ec2.describe_instance_types(
        Filters=[{"Name": "instance-type", "Values": ["m5.*large"]}, {"Name": "hypervisor", "Values": ["nitro"]}]
    )
    assert {kind["InstanceType"] for kind in nitro["InstanceTypes"]} >= {"m5.large", "m5.24xlarge"}


def test_limits_of_types_are_reported(site: Any) -> None:
    info = site.ec2.describe_instance_types(InstanceTypes=["p4d.24xlarge"])["InstanceTypes"][0]["NetworkInfo"]
    assert (info["MaximumNetworkInterfaces"], info["Ipv4AddressesPerInterface"]) == (60, 50)
    assert [card["MaximumNetworkInterfaces"] for card in info["NetworkCards"]] == [15] * 4


def test_pages_show_everything_once_though_things_vanish_between_them(site: Any) -> None:
    made = {site.new_eni() for _ in range(12)}
    first = site.ec2.describe_network_interfaces(MaxResults=5)
    shown = [eni["NetworkInterfaceId"] for eni in first["NetworkInterfaces"]]
    assert len(shown) == 5
    # One that was shown goes away: no other may be skipped for it.
    gone = next(eni_id for eni_id in shown if eni_id in made)
    site.ec2.delete_network_interface(NetworkInterfaceId=gone)
    token = first["NextToken"]
    while token:
        page = site.ec2.describe_network_interfaces(MaxResults=5, NextToken=token)
        shown += [eni["NetworkInterfaceId"] for eni in page["NetworkInterfaces"]]
        token = page.get("NextToken", "")
    assert len(shown) == len(set(shown)) == 13
    assert made <= set(shown)


def test_boto3s_paginators_work(site: Any) -> None:
    for _ in range(6):
        site.new_eni()
    pages = site.ec2.get_paginator("describe_network_interfaces").paginate(PaginationConfig={"PageSize": 5})
    assert [len(page["NetworkInterfaces"]) for page in pages] == [5, 2]
    types = site.ec2.get_paginator("describe_instance_types").paginate(PaginationConfig={"PageSize": 100})
    assert sum(len(page["InstanceTypes"]) for page in types) >= 1396


def test_ids_and_pages_exclude_each_other(site: Any, refused: Any) -> None:
    eni_id = site.new_eni()
    code, _, _ = refused(site.ec2.describe_network_interfaces, NetworkInterfaceIds=[eni_id], MaxResults=5)
    assert code == "InvalidParameterCombination"
