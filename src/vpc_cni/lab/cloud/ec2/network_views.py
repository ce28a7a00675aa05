"""VPCs, subnets, groups and reservations as EC2 words them: trees under wire names."""

from vpc_cni.lab.cloud.ec2.views import tag_set
from vpc_cni.lab.cloud.networks import zone_id
from vpc_cni.lab.cloud.query.operation import Call
from vpc_cni.lab.cloud.query.xml import Tree
from vpc_cni.lab.cloud.records import CidrReservation, SecurityGroup, Subnet, Vpc


def vpc_view(call: Call, vpc: Vpc) -> Tree:
    """Source: EC2 API reference, data type Vpc."""
    return {
        "vpcId": vpc.vpc_id,
        "ownerId": call.cloud.settings.account_id,
        "state": "available",
        "cidrBlock": str(vpc.cidr),
        "cidrBlockAssociationSet": [
            {
                "associationId": _association_id("vpc-cidr-assoc", vpc.vpc_id, number),
                "cidrBlock": str(cidr),
                "cidrBlockState": {"state": "associated"},
            }
            for number, cidr in enumerate(vpc.cidrs)
        ],
        "ipv6CidrBlockAssociationSet": [
            {
                "associationId": _association_id("vpc-cidr-assoc", vpc.vpc_id, 99),
                "ipv6CidrBlock": str(vpc.ipv6_cidr),
                "ipv6CidrBlockState": {"state": "associated"},
                "networkBorderGroup": call.cloud.settings.region,
                "ipv6Pool": "Amazon",
            }
        ]
        if vpc.ipv6_cidr
        else [],
        "dhcpOptionsId": "default",
        "instanceTenancy": "default",
        "isDefault": False,
        "tagSet": tag_set(call.tags_of(vpc.vpc_id)),
    }


def subnet_view(call: Call, subnet: Subnet) -> Tree:
    """Source: EC2 API reference, data type Subnet. The free count is of the present, whatever the lag."""
    settings = call.cloud.settings
    space = call.cloud.spaces.get(subnet.subnet_id)
    full = call.cloud.faults.is_subnet_full(subnet.subnet_id)
    return {
        "subnetId": subnet.subnet_id,
        "subnetArn": f"arn:aws:ec2:{settings.region}:{settings.account_id}:subnet/{subnet.subnet_id}",
        "state": "available",
        "ownerId": settings.account_id,
        "vpcId": subnet.vpc_id,
        "cidrBlock": str(subnet.cidr),
        "ipv6CidrBlockAssociationSet": [
            {
                "associationId": _association_id("subnet-cidr-assoc", subnet.subnet_id, 0),
                "ipv6CidrBlock": str(subnet.ipv6_cidr),
                "ipv6CidrBlockState": {"state": "associated"},
            }
        ]
        if subnet.ipv6_cidr
        else [],
        "availableIpAddressCount": space.free_count if space and not full else 0,
        "availabilityZone": subnet.zone,
        "availabilityZoneId": zone_id(settings, subnet.zone),
        "defaultForAz": False,
        "mapPublicIpOnLaunch": subnet.map_public,
        "mapCustomerOwnedIpOnLaunch": False,
        "assignIpv6AddressOnCreation": False,
        "enableDns64": False,
        "ipv6Native": False,
        "tagSet": tag_set(call.tags_of(subnet.subnet_id)),
    }


def group_view(call: Call, group: SecurityGroup) -> Tree:
    """Source: EC2 API reference, data type SecurityGroup. Rules are not kept by the lab: everything may pass."""
    settings = call.cloud.settings
    everything: Tree = {"ipProtocol": "-1", "ipRanges": [{"cidrIp": "0.0.0.0/0"}]}
    return {
        "groupId": group.group_id,
        "securityGroupArn": group_arn(call, group.group_id),
        "groupName": group.name,
        "groupDescription": group.description,
        "ownerId": settings.account_id,
        "vpcId": group.vpc_id,
        "ipPermissions": [everything],
        "ipPermissionsEgress": [everything],
        "tagSet": tag_set(call.tags_of(group.group_id)),
    }


def group_arn(call: Call, group_id: str) -> str:
    settings = call.cloud.settings
    return f"arn:aws:ec2:{settings.region}:{settings.account_id}:security-group/{group_id}"


def reservation_view(call: Call, reservation: CidrReservation) -> Tree:
    """Source: EC2 API reference, data type SubnetCidrReservation."""
    return {
        "subnetCidrReservationId": reservation.reservation_id,
        "subnetId": reservation.subnet_id,
        "cidr": str(reservation.cidr),
        "reservationType": reservation.kind.value,
        "ownerId": call.cloud.settings.account_id,
        "description": reservation.description,
        "tagSet": tag_set(call.tags_of(reservation.reservation_id)),
    }


def _association_id(prefix: str, resource_id: str, number: int) -> str:
    """Return an id that is stable for a resource without being kept anywhere."""
    return f"{prefix}-{resource_id.rpartition('-')[2][:-2]}{number:02d}"
