"""VPCs, subnets, security groups and subnet CIDR reservations."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network

from vpc_cni.lab.cloud import errors, tags
from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.events import SubnetCreated, SubnetDeleted, VpcCreated
from vpc_cni.lab.cloud.records import CidrReservation, Network, ReservationKind, SecurityGroup, Subnet, Vpc
from vpc_cni.lab.cloud.settings import CloudSettings
from vpc_cni.lab.cloud.space import AddressSpace
from vpc_cni.lab.cloud.space6 import SUBNET_LENGTH, AddressSpace6

# A VPC and a subnet hold between a /28 and a /16; an IPv6 VPC is a /56. Source: VPC user guide, "VPC CIDR blocks".
WIDEST, NARROWEST = 16, 28
VPC6_LENGTH = 56
NO_TAGS: Mapping[str, str] = {}


def create_vpc(
    cloud: Cloud,
    cidr: IPv4Network,
    *,
    ipv6: bool = False,
    given: Mapping[str, str] = NO_TAGS,
) -> Vpc:
    """Create a VPC and its default security group. With ``ipv6`` it gets a /56 of the lab's own range."""
    now = cloud.now()
    tags.check(given)
    if not WIDEST <= cidr.prefixlen <= NARROWEST:
        raise errors.cidr_invalid("Vpc", cidr)
    vpc = Vpc(cloud.ids.resource("vpc"), cidr, _pick_vpc6(cloud) if ipv6 else None)
    cloud.vpcs.put(vpc.vpc_id, vpc, now)
    tags.set_first(cloud, vpc.vpc_id, given, now)
    cloud.emit(VpcCreated(vpc))
    create_group(cloud, vpc.vpc_id, "default", "default VPC security group")
    return vpc


def create_subnet(
    cloud: Cloud,
    vpc_id: str,
    cidr: IPv4Network,
    *,
    zone: str = "",
    ipv6_cidr: IPv6Network | None = None,
    map_public: bool = False,
    given: Mapping[str, str] = NO_TAGS,
) -> Subnet:
    """Create a subnet of a VPC; ``zone`` defaults to the region's first."""
    now = cloud.now()
    tags.check(given)
    vpc = cloud.vpc(vpc_id)
    zone = zone or cloud.settings.zones[0]
    _check_subnet(cloud, vpc, cidr, zone)
    _check_subnet6(cloud, vpc, ipv6_cidr)
    subnet = Subnet(cloud.ids.resource("subnet"), vpc_id, cidr, zone, ipv6_cidr, map_public)
    cloud.subnets.put(subnet.subnet_id, subnet, now)
    cloud.spaces[subnet.subnet_id] = AddressSpace(cidr, cloud.rng)
    if ipv6_cidr is not None:
        cloud.spaces6[subnet.subnet_id] = AddressSpace6(ipv6_cidr, cloud.rng)
    tags.set_first(cloud, subnet.subnet_id, given, now)
    cloud.emit(SubnetCreated(subnet))
    return subnet


def set_map_public(cloud: Cloud, subnet_id: str, map_public: bool) -> None:
    """Say whether instances started in the subnet get a public address."""
    subnet = cloud.subnet(subnet_id)
    cloud.subnets.put(subnet_id, replace(subnet, map_public=map_public), cloud.now())


def delete_vpc(cloud: Cloud, vpc_id: str) -> None:
    """Delete a VPC that holds nothing but its default security group."""
    now = cloud.now()
    vpc = cloud.vpc(vpc_id)
    groups = [group for group in cloud.groups.values() if group.vpc_id == vpc_id]
    if any(subnet.vpc_id == vpc_id for subnet in cloud.subnets.values()) or len(groups) > 1:
        raise errors.has_dependencies("vpc", vpc_id)
    for group in groups:
        cloud.groups.drop(group.group_id, now)
    cloud.vpcs.drop(vpc.vpc_id, now)
    tags.drop(cloud, vpc_id, now)


def delete_subnet(cloud: Cloud, subnet_id: str) -> None:
    """Delete a subnet without ENIs, with its reservations."""
    now = cloud.now()
    subnet = cloud.subnet(subnet_id)
    if any(eni.subnet_id == subnet_id for eni in cloud.interfaces.values()):
        raise errors.has_dependencies("subnet", subnet_id)
    for reservation in cloud.reservations.values():
        if reservation.subnet_id == subnet_id:
            cloud.reservations.drop(reservation.reservation_id, now)
    cloud.subnets.drop(subnet_id, now)
    del cloud.spaces[subnet_id]
    cloud.spaces6.pop(subnet_id, None)
    tags.drop(cloud, subnet_id, now)
    cloud.emit(SubnetDeleted(subnet))


def create_group(
    cloud: Cloud, vpc_id: str, name: str, description: str, *, given: Mapping[str, str] = NO_TAGS
) -> SecurityGroup:
    """Create a security group. The lab records groups; it does not filter packets by them."""
    now = cloud.now()
    tags.check(given)
    cloud.vpc(vpc_id)
    if any(group.vpc_id == vpc_id and group.name == name for group in cloud.groups.values()):
        raise errors.duplicate_group(name, vpc_id)
    group = SecurityGroup(cloud.ids.resource("sg"), vpc_id, name, description)
    cloud.groups.put(group.group_id, group, now)
    tags.set_first(cloud, group.group_id, given, now)
    return group


def delete_group(cloud: Cloud, group_id: str) -> None:
    """Delete a group that no ENI uses and that is not its VPC's default."""
    now = cloud.now()
    group = cloud.group(group_id)
    if group.name == "default":
        raise errors.CloudApiError(
            "CannotDelete", f'the specified group: "{group_id}" name: "default" cannot be deleted by a user'
        )
    if any(group_id in eni.groups for eni in cloud.interfaces.values()):
        raise errors.group_in_use(group_id)
    cloud.groups.drop(group_id, now)
    tags.drop(cloud, group_id, now)


def default_group(cloud: Cloud, vpc_id: str) -> SecurityGroup:
    """Return the group that ENIs get when a request names none."""
    return next(g for g in cloud.groups.values() if g.vpc_id == vpc_id and g.name == "default")


def create_reservation(
    cloud: Cloud,
    subnet_id: str,
    cidr: Network,
    kind: ReservationKind,
    *,
    description: str = "",
    given: Mapping[str, str] = NO_TAGS,
) -> CidrReservation:
    """Set a range of a subnet aside; addresses of it that are already in use stay in use."""
    now = cloud.now()
    tags.check(given)
    subnet = cloud.subnet(subnet_id)
    _reserve(cloud, subnet, cidr, kind)
    reservation = CidrReservation(cloud.ids.resource("scr"), subnet_id, cidr, kind, description)
    cloud.reservations.put(reservation.reservation_id, reservation, now)
    tags.set_first(cloud, reservation.reservation_id, given, now)
    return reservation


def delete_reservation(cloud: Cloud, reservation_id: str) -> CidrReservation:
    """End a reservation; returns what it was."""
    now = cloud.now()
    reservation = cloud.reservations.get(reservation_id)
    if reservation is None:
        raise errors.reservation_not_found(reservation_id)
    if isinstance(reservation.cidr, IPv4Network):
        cloud.spaces[reservation.subnet_id].unreserve(reservation.cidr)
    else:
        cloud.spaces6[reservation.subnet_id].unreserve(reservation.cidr)
    cloud.reservations.drop(reservation_id, now)
    tags.drop(cloud, reservation_id, now)
    return reservation


def zone_id(settings: CloudSettings, zone: str) -> str:
    """Return the zone's id, the same in every account: ``usw2-az1`` for ``us-west-2a``. Pure."""
    *area, direction, number = settings.region.split("-")
    # northeast -> ne, west -> w: the points of the compass that the name starts with.
    short = "".join(point[0] for point in ("north", "south", "east", "west", "central") if point in direction)
    return f"{''.join(area)}{short}{number}-az{settings.zones.index(zone) + 1}"


def _reserve(cloud: Cloud, subnet: Subnet, cidr: Network, kind: ReservationKind) -> None:
    if isinstance(cidr, IPv4Network):
        if not cidr.subnet_of(subnet.cidr):
            raise errors.invalid_value(f"The CIDR '{cidr}' is not within the CIDR range of the subnet")
        cloud.spaces[subnet.subnet_id].reserve(cidr, kind)
        return
    if subnet.ipv6_cidr is None or not cidr.subnet_of(subnet.ipv6_cidr):
        raise errors.invalid_value(f"The CIDR '{cidr}' is not within the CIDR range of the subnet")
    cloud.spaces6[subnet.subnet_id].reserve(cidr, kind)


def _check_subnet(cloud: Cloud, vpc: Vpc, cidr: IPv4Network, zone: str) -> None:
    if zone not in cloud.settings.zones:
        zones = ", ".join(cloud.settings.zones)
        raise errors.invalid_value(
            f"Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in the "
            f"following availability zones: {zones}."
        )
    if not WIDEST <= cidr.prefixlen <= NARROWEST or not any(cidr.subnet_of(whole) for whole in vpc.cidrs):
        raise errors.cidr_invalid("Subnet", cidr)
    if any(other.vpc_id == vpc.vpc_id and other.cidr.overlaps(cidr) for other in cloud.subnets.values()):
        raise errors.cidr_conflict(cidr)


def _check_subnet6(cloud: Cloud, vpc: Vpc, cidr: IPv6Network | None) -> None:
    if cidr is None:
        return
    if cidr.prefixlen != SUBNET_LENGTH or vpc.ipv6_cidr is None or not cidr.subnet_of(vpc.ipv6_cidr):
        raise errors.cidr_invalid("Subnet", cidr)
    if any(other.vpc_id == vpc.vpc_id and other.ipv6_cidr == cidr for other in cloud.subnets.values()):
        raise errors.cidr_conflict(cidr)


def _pick_vpc6(cloud: Cloud) -> IPv6Network:
    """Return a /56 that no VPC has, of the range for documentation (RFC 3849)."""
    taken = {vpc.ipv6_cidr for vpc in cloud.vpcs.values()}
    blocks = IPv6Network("2001:db8:1000::/40").subnets(new_prefix=VPC6_LENGTH)
    return next(block for block in blocks if block not in taken)
