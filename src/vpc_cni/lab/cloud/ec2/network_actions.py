"""Operations on VPCs, subnets, zones and regions."""

from vpc_cni.lab.cloud import errors, networks
from vpc_cni.lab.cloud.ec2.filters import FilterTable, always, yes_or_no
from vpc_cni.lab.cloud.ec2.network_views import subnet_view, vpc_view
from vpc_cni.lab.cloud.ec2.paging import page
from vpc_cni.lab.cloud.ec2.tag_actions import tags_for
from vpc_cni.lab.cloud.query.operation import DONE, LISTING, Call, operation, require_all
from vpc_cni.lab.cloud.query.parameters import ipv4_block, ipv6_block
from vpc_cni.lab.cloud.query.xml import Tree
from vpc_cni.lab.cloud.records import Subnet, Vpc


def create_vpc(call: Call) -> Tree:
    vpc = networks.create_vpc(
        call.cloud,
        ipv4_block(call.parameters.required("CidrBlock")),
        ipv6=call.parameters.flag("AmazonProvidedIpv6CidrBlock"),
        given=tags_for(call.parameters, "vpc"),
    )
    return {"vpc": vpc_view(call.at_present(), vpc)}


def delete_vpc(call: Call) -> Tree:
    networks.delete_vpc(call.cloud, call.parameters.required("VpcId"))
    return DONE


def describe_vpcs(call: Call) -> Tree:
    found = call.cloud.vpcs.values_at(call.moment)
    wanted = call.parameters.texts("VpcId")
    if wanted:
        found = [vpc for vpc in found if vpc.vpc_id in wanted]
        require_all(wanted, [vpc.vpc_id for vpc in found], errors.vpc_not_found)
    matches = _vpc_filters(call).parse(call.parameters)
    shown, token = page(call.parameters, filter(matches, found), lambda vpc: vpc.vpc_id, ids_name="VpcId")
    return {"vpcSet": [vpc_view(call, vpc) for vpc in shown], "nextToken": token}


def create_subnet(call: Call) -> Tree:
    ipv6 = call.parameters.text("Ipv6CidrBlock")
    subnet = networks.create_subnet(
        call.cloud,
        call.parameters.required("VpcId"),
        ipv4_block(call.parameters.required("CidrBlock")),
        zone=_zone(call),
        ipv6_cidr=ipv6_block(ipv6) if ipv6 else None,
        given=tags_for(call.parameters, "subnet"),
    )
    return {"subnet": subnet_view(call.at_present(), subnet)}


def delete_subnet(call: Call) -> Tree:
    networks.delete_subnet(call.cloud, call.parameters.required("SubnetId"))
    return DONE


def modify_subnet(call: Call) -> Tree:
    subnet_id = call.parameters.required("SubnetId")
    if "MapPublicIpOnLaunch" not in call.parameters:
        raise errors.missing_parameter("attribute")
    networks.set_map_public(call.cloud, subnet_id, call.parameters.child("MapPublicIpOnLaunch").flag("Value"))
    return DONE


def describe_subnets(call: Call) -> Tree:
    found = call.cloud.subnets.values_at(call.moment)
    wanted = call.parameters.texts("SubnetId")
    if wanted:
        found = [subnet for subnet in found if subnet.subnet_id in wanted]
        require_all(wanted, [subnet.subnet_id for subnet in found], errors.subnet_not_found)
    matches = _subnet_filters(call).parse(call.parameters)
    shown, token = page(call.parameters, filter(matches, found), lambda subnet: subnet.subnet_id, ids_name="SubnetId")
    return {"subnetSet": [subnet_view(call, subnet) for subnet in shown], "nextToken": token}


def describe_zones(call: Call) -> Tree:
    settings = call.cloud.settings
    matches = _ZONE_FILTERS.parse(call.parameters)
    zones = [(zone, networks.zone_id(settings, zone)) for zone in settings.zones]
    names, ids = call.parameters.texts("ZoneName"), call.parameters.texts("ZoneId")
    require_all(names, list(settings.zones), lambda zone: errors.invalid_value(f"Invalid availability zone: [{zone}]"))
    shown = [zone for zone in zones if (not names or zone[0] in names) and (not ids or zone[1] in ids)]
    return {"availabilityZoneInfo": [_zone_view(call, *zone) for zone in shown if matches(zone)]}


def describe_regions(call: Call) -> Tree:
    region = call.cloud.settings.region
    names = call.parameters.texts("RegionName")
    require_all(names, [region], lambda name: errors.invalid_value(f"Invalid region: [{name}]"))
    view = {
        "regionName": region,
        "regionEndpoint": f"ec2.{region}.amazonaws.com",
        "optInStatus": "opt-in-not-required",
    }
    return {"regionInfo": [view] if _REGION_FILTERS.parse(call.parameters)(region) else []}


def _zone(call: Call) -> str:
    """Return the zone that a request names, by name or by id; empty when it names none."""
    settings = call.cloud.settings
    wanted = call.parameters.text("AvailabilityZoneId")
    if not wanted:
        return call.parameters.text("AvailabilityZone")
    for zone in settings.zones:
        if networks.zone_id(settings, zone) == wanted:
            return zone
    raise errors.invalid_value(f"Value ({wanted}) for parameter availabilityZoneId is invalid.")


def _zone_view(call: Call, zone: str, zone_id: str) -> Tree:
    region = call.cloud.settings.region
    return {
        "optInStatus": "opt-in-not-required",
        "messageSet": [],
        "regionName": region,
        "zoneName": zone,
        "zoneId": zone_id,
        "groupName": f"{region}-zg-1",
        "networkBorderGroup": region,
        "zoneType": "availability-zone",
        "zoneState": "available",
    }


def _vpc_filters(call: Call) -> FilterTable[Vpc]:
    """Source: EC2 API reference, DescribeVpcs."""
    return FilterTable(
        {
            "cidr": lambda vpc: (str(vpc.cidr),),
            "cidr-block-association.cidr-block": lambda vpc: map(str, vpc.cidrs),
            "ipv6-cidr-block-association.ipv6-cidr-block": lambda vpc: (str(vpc.ipv6_cidr),) if vpc.ipv6_cidr else (),
            "is-default": always("false"),
            "owner-id": always(call.cloud.settings.account_id),
            "state": always("available"),
            "vpc-id": lambda vpc: (vpc.vpc_id,),
        },
        lambda vpc: call.tags_of(vpc.vpc_id),
    )


def _subnet_filters(call: Call) -> FilterTable[Subnet]:
    """Source: EC2 API reference, DescribeSubnets."""
    settings = call.cloud.settings
    return FilterTable(
        {
            "availability-zone": lambda subnet: (subnet.zone,),
            "availabilityZone": lambda subnet: (subnet.zone,),
            "availability-zone-id": lambda subnet: (networks.zone_id(settings, subnet.zone),),
            "available-ip-address-count": lambda subnet: (str(call.cloud.spaces[subnet.subnet_id].free_count),),
            "cidr-block": lambda subnet: (str(subnet.cidr),),
            "default-for-az": always("false"),
            "map-public-ip-on-launch": lambda subnet: yes_or_no(subnet.map_public),
            "owner-id": always(settings.account_id),
            "state": always("available"),
            "subnet-id": lambda subnet: (subnet.subnet_id,),
            "vpc-id": lambda subnet: (subnet.vpc_id,),
        },
        lambda subnet: call.tags_of(subnet.subnet_id),
    )


_ZONE_FILTERS: FilterTable[tuple[str, str]] = FilterTable(
    {
        "region-name": lambda zone: (zone[0][:-1],),
        "state": always("available"),
        "zone-id": lambda zone: (zone[1],),
        "zone-name": lambda zone: (zone[0],),
        "zone-type": always("availability-zone"),
    },
)

_REGION_FILTERS: FilterTable[str] = FilterTable(
    {
        "region-name": lambda region: (region,),
        "endpoint": lambda region: (f"ec2.{region}.amazonaws.com",),
        "opt-in-status": always("opt-in-not-required"),
    },
)

OPERATIONS = (
    operation("CreateVpc", create_vpc, "CidrBlock AmazonProvidedIpv6CidrBlock TagSpecification"),
    operation("DeleteVpc", delete_vpc, "VpcId"),
    operation("DescribeVpcs", describe_vpcs, f"VpcId {LISTING}"),
    operation(
        "CreateSubnet",
        create_subnet,
        "VpcId CidrBlock Ipv6CidrBlock AvailabilityZone AvailabilityZoneId TagSpecification",
    ),
    operation("DeleteSubnet", delete_subnet, "SubnetId"),
    operation("ModifySubnetAttribute", modify_subnet, "SubnetId MapPublicIpOnLaunch"),
    operation("DescribeSubnets", describe_subnets, f"SubnetId {LISTING}"),
    operation("DescribeAvailabilityZones", describe_zones, "ZoneName ZoneId AllAvailabilityZones Filter"),
    operation("DescribeRegions", describe_regions, "RegionName AllRegions Filter"),
)
