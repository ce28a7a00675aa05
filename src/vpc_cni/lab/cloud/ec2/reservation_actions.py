"""Operations on subnet CIDR reservations."""

from vpc_cni.lab.cloud import errors, networks
from vpc_cni.lab.cloud.ec2.filters import FilterTable
from vpc_cni.lab.cloud.ec2.network_views import reservation_view
from vpc_cni.lab.cloud.ec2.paging import page
from vpc_cni.lab.cloud.ec2.tag_actions import tags_for
from vpc_cni.lab.cloud.query.operation import LISTING, Call, operation
from vpc_cni.lab.cloud.query.parameters import ipv4_block, ipv6_block
from vpc_cni.lab.cloud.query.xml import Tree
from vpc_cni.lab.cloud.records import CidrReservation, Network, ReservationKind


def create(call: Call) -> Tree:
    parameters = call.parameters
    reservation = networks.create_reservation(
        call.cloud,
        parameters.required("SubnetId"),
        _block(parameters.required("Cidr")),
        _kind(parameters.required("ReservationType")),
        description=parameters.text("Description"),
        given=tags_for(parameters, "subnet-cidr-reservation"),
    )
    return {"subnetCidrReservation": reservation_view(call.at_present(), reservation)}


def delete(call: Call) -> Tree:
    view = call.at_present()
    reservation_id = call.parameters.required("SubnetCidrReservationId")
    shown = {
        reservation.reservation_id: reservation_view(view, reservation)
        for reservation in call.cloud.reservations.values()
    }
    networks.delete_reservation(call.cloud, reservation_id)
    return {"deletedSubnetCidrReservation": shown[reservation_id]}


def describe(call: Call) -> Tree:
    subnet_id = call.parameters.required("SubnetId")
    if call.cloud.subnets.at(subnet_id, call.moment) is None:
        raise errors.subnet_not_found(subnet_id)
    found = [r for r in call.cloud.reservations.values_at(call.moment) if r.subnet_id == subnet_id]
    matches = _filters(call).parse(call.parameters)
    shown, token = page(call.parameters, filter(matches, found), lambda reservation: reservation.reservation_id)
    return {
        "subnetIpv4CidrReservationSet": [reservation_view(call, r) for r in shown if r.cidr.version == 4],
        "subnetIpv6CidrReservationSet": [reservation_view(call, r) for r in shown if r.cidr.version == 6],
        "nextToken": token,
    }


def _block(text: str) -> Network:
    return ipv6_block(text) if ":" in text else ipv4_block(text)


def _kind(text: str) -> ReservationKind:
    try:
        return ReservationKind(text)
    except ValueError:
        raise errors.invalid_value(f"Value ({text}) for parameter reservationType is invalid.") from None


def _filters(call: Call) -> FilterTable[CidrReservation]:
    """Source: EC2 API reference, GetSubnetCidrReservations."""
    return FilterTable(
        {
            "reservationType": lambda reservation: (reservation.kind.value,),
            "subnet-id": lambda reservation: (reservation.subnet_id,),
        },
        lambda reservation: call.tags_of(reservation.reservation_id),
    )


OPERATIONS = (
    operation("CreateSubnetCidrReservation", create, "SubnetId Cidr ReservationType Description TagSpecification"),
    operation("DeleteSubnetCidrReservation", delete, "SubnetCidrReservationId"),
    operation("GetSubnetCidrReservations", describe, f"SubnetId {LISTING}"),
)
