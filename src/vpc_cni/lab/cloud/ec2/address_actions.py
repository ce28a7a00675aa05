"""Operations that give addresses and prefixes to interfaces, and take them back."""

from vpc_cni.lab.cloud import addresses, errors
from vpc_cni.lab.cloud.addresses import Order4, Order6
from vpc_cni.lab.cloud.query.operation import DONE, Call, operation
from vpc_cni.lab.cloud.query.parameters import Parameters, ipv4, ipv4_block, ipv6, ipv6_block
from vpc_cni.lab.cloud.query.xml import Tree

WAYS4 = ("PrivateIpAddress", "SecondaryPrivateIpAddressCount", "Ipv4Prefix", "Ipv4PrefixCount")
WAYS6 = ("Ipv6Addresses", "Ipv6AddressCount", "Ipv6Prefix", "Ipv6PrefixCount")


def assign4(call: Call) -> Tree:
    parameters = call.parameters
    eni_id = parameters.required("NetworkInterfaceId")
    _require_one(parameters, WAYS4)
    order = Order4(
        addresses=tuple(map(ipv4, parameters.texts("PrivateIpAddress"))),
        count=parameters.count("SecondaryPrivateIpAddressCount"),
        prefixes=tuple(map(ipv4_block, parameters.texts("Ipv4Prefix"))),
        prefix_count=parameters.count("Ipv4PrefixCount"),
    )
    reassign = parameters.flag("AllowReassignment")
    done = addresses.assign(call.cloud, eni_id, order, allow_reassignment=reassign)
    return {
        "networkInterfaceId": eni_id,
        "assignedPrivateIpAddressesSet": [{"privateIpAddress": str(address)} for address in done.addresses],
        "assignedIpv4PrefixSet": [{"ipv4Prefix": str(prefix)} for prefix in done.prefixes],
        **DONE,
    }


def unassign4(call: Call) -> Tree:
    parameters = call.parameters
    eni_id = parameters.required("NetworkInterfaceId")
    _require_one(parameters, ("PrivateIpAddress", "Ipv4Prefix"))
    addresses.unassign(
        call.cloud,
        eni_id,
        tuple(map(ipv4, parameters.texts("PrivateIpAddress"))),
        tuple(map(ipv4_block, parameters.texts("Ipv4Prefix"))),
    )
    return DONE


def assign6(call: Call) -> Tree:
    parameters = call.parameters
    eni_id = parameters.required("NetworkInterfaceId")
    _require_one(parameters, WAYS6)
    order = Order6(
        addresses=tuple(map(ipv6, parameters.texts("Ipv6Addresses"))),
        count=parameters.count("Ipv6AddressCount"),
        prefixes=tuple(map(ipv6_block, parameters.texts("Ipv6Prefix"))),
        prefix_count=parameters.count("Ipv6PrefixCount"),
    )
    done = addresses.assign6(call.cloud, eni_id, order)
    return {
        "networkInterfaceId": eni_id,
        "assignedIpv6Addresses": [str(address) for address in done.addresses],
        "assignedIpv6PrefixSet": [str(prefix) for prefix in done.prefixes],
    }


def unassign6(call: Call) -> Tree:
    parameters = call.parameters
    eni_id = parameters.required("NetworkInterfaceId")
    _require_one(parameters, ("Ipv6Addresses", "Ipv6Prefix"))
    singles = tuple(map(ipv6, parameters.texts("Ipv6Addresses")))
    blocks = tuple(map(ipv6_block, parameters.texts("Ipv6Prefix")))
    addresses.unassign6(call.cloud, eni_id, singles, blocks)
    return {
        "networkInterfaceId": eni_id,
        "unassignedIpv6Addresses": [str(address) for address in singles],
        "unassignedIpv6PrefixSet": [str(prefix) for prefix in blocks],
    }


def _require_one(parameters: Parameters, ways: tuple[str, ...]) -> None:
    """A request says in exactly one way what it wants."""
    given = [name for name in ways if name in parameters]
    if not given:
        raise errors.missing_parameter(ways[0])
    if len(given) > 1:
        raise errors.invalid_combination(f"The parameters {' and '.join(given)} cannot be used together")


OPERATIONS = (
    operation("AssignPrivateIpAddresses", assign4, f"NetworkInterfaceId AllowReassignment {' '.join(WAYS4)}"),
    operation("UnassignPrivateIpAddresses", unassign4, "NetworkInterfaceId PrivateIpAddress Ipv4Prefix"),
    operation("AssignIpv6Addresses", assign6, f"NetworkInterfaceId {' '.join(WAYS6)}"),
    operation("UnassignIpv6Addresses", unassign6, "NetworkInterfaceId Ipv6Addresses Ipv6Prefix"),
)
