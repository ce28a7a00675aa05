"""Operations on network interfaces."""

from dataclasses import replace

from vpc_cni.lab.cloud import errors, interfaces
from vpc_cni.lab.cloud.addresses import Order4, Order6
from vpc_cni.lab.cloud.ec2.filters import FilterTable, always, yes_or_no
from vpc_cni.lab.cloud.ec2.paging import page
from vpc_cni.lab.cloud.ec2.tag_actions import tags_for
from vpc_cni.lab.cloud.ec2.views import interface_view
from vpc_cni.lab.cloud.instances import private_dns_name
from vpc_cni.lab.cloud.interfaces import InterfaceRequest
from vpc_cni.lab.cloud.query.operation import DONE, LISTING, Call, operation
from vpc_cni.lab.cloud.query.parameters import Parameters, ipv4, ipv4_block, ipv6, ipv6_block
from vpc_cni.lab.cloud.query.xml import Tree
from vpc_cni.lab.cloud.records import Attachment, Interface

# Parameters that say which addresses an interface gets; the same in CreateNetworkInterface and RunInstances.
ADDRESS_PARAMETERS = (
    "PrivateIpAddress PrivateIpAddresses SecondaryPrivateIpAddressCount Ipv4Prefix Ipv4PrefixCount "
    "Ipv6Addresses Ipv6AddressCount Ipv6Prefix Ipv6PrefixCount"
)


def interface_request(parameters: Parameters, subnet_id: str) -> InterfaceRequest:
    """Read what a new interface shall be; shared by CreateNetworkInterface and RunInstances."""
    primary, secondary = _named_addresses(parameters)
    count = parameters.count("SecondaryPrivateIpAddressCount", least=0)
    if secondary and count:
        raise errors.invalid_combination(
            "The parameters privateIpAddresses and secondaryPrivateIpAddressCount cannot be used together"
        )
    return InterfaceRequest(
        subnet_id=subnet_id,
        description=parameters.text("Description"),
        groups=parameters.texts("SecurityGroupId"),
        primary=ipv4(primary) if primary else None,
        ipv4=Order4(
            addresses=tuple(map(ipv4, secondary)),
            count=count,
            prefixes=tuple(ipv4_block(level.required("Ipv4Prefix")) for level in parameters.children("Ipv4Prefix")),
            prefix_count=parameters.count("Ipv4PrefixCount", least=0),
        ),
        ipv6=Order6(
            addresses=tuple(ipv6(level.required("Ipv6Address")) for level in parameters.children("Ipv6Addresses")),
            count=parameters.count("Ipv6AddressCount", least=0),
            prefixes=tuple(ipv6_block(level.required("Ipv6Prefix")) for level in parameters.children("Ipv6Prefix")),
            prefix_count=parameters.count("Ipv6PrefixCount", least=0),
        ),
        kind=parameters.text("InterfaceType", "interface"),
    )


def create(call: Call) -> Tree:
    request = interface_request(call.parameters, call.parameters.required("SubnetId"))
    request = replace(request, tags=tags_for(call.parameters, "network-interface"))
    eni = interfaces.create(call.cloud, request)
    token = call.parameters.text("ClientToken") or None
    return {"networkInterface": interface_view(call.at_present(), eni), "clientToken": token}


def delete(call: Call) -> Tree:
    interfaces.delete(call.cloud, call.parameters.required("NetworkInterfaceId"))
    return DONE


def attach(call: Call) -> Tree:
    call.parameters.required("DeviceIndex")
    attachment = interfaces.attach(
        call.cloud,
        call.parameters.required("NetworkInterfaceId"),
        call.parameters.required("InstanceId"),
        call.parameters.count("DeviceIndex", least=0),
        card_index=call.parameters.count("NetworkCardIndex", least=0),
    )
    return {"attachmentId": attachment.attachment_id, "networkCardIndex": attachment.card_index}


def detach(call: Call) -> Tree:
    interfaces.detach(call.cloud, call.parameters.required("AttachmentId"))
    return DONE


def modify(call: Call) -> Tree:
    """Change one attribute; EC2 takes exactly one in a call."""
    parameters = call.parameters
    eni_id = parameters.required("NetworkInterfaceId")
    given = [name for name in ("Description", "SourceDestCheck", "SecurityGroupId", "Attachment") if name in parameters]
    if not given:
        raise errors.missing_parameter("attribute")
    if len(given) > 1:
        raise errors.invalid_combination("Fields for multiple attribute types specified")
    match given[0]:
        case "Description":
            interfaces.set_description(call.cloud, eni_id, parameters.child("Description").text("Value"))
        case "SourceDestCheck":
            interfaces.set_source_dest_check(call.cloud, eni_id, parameters.child("SourceDestCheck").flag("Value"))
        case "SecurityGroupId":
            interfaces.set_groups(call.cloud, eni_id, parameters.texts("SecurityGroupId"))
        case _:
            attachment = parameters.child("Attachment")
            attachment.allow("AttachmentId", "DeleteOnTermination")
            delete_too = attachment.flag("DeleteOnTermination")
            interfaces.set_delete_on_termination(call.cloud, eni_id, attachment.required("AttachmentId"), delete_too)
    return DONE


def describe(call: Call) -> Tree:
    wanted = call.parameters.texts("NetworkInterfaceId")
    found = _named(call, wanted) if wanted else call.cloud.interfaces.values_at(call.moment)
    matches = interface_filters(call).parse(call.parameters)
    shown, token = page(call.parameters, filter(matches, found), lambda eni: eni.eni_id, ids_name="NetworkInterfaceId")
    return {"networkInterfaceSet": [interface_view(call, eni) for eni in shown], "nextToken": token}


def interface_filters(call: Call) -> FilterTable[Interface]:
    """Source: EC2 API reference, DescribeNetworkInterfaces."""
    settings = call.cloud.settings
    return FilterTable(
        {
            "addresses.primary": lambda eni: ("true", "false") if eni.secondary else ("true",),
            "addresses.private-ip-address": lambda eni: map(str, (eni.primary, *eni.secondary)),
            "addresses.association.public-ip": _public_addresses,
            "association.public-ip": _public_addresses,
            "attachment.attachment-id": lambda eni: (a.attachment_id for a in _attachments(eni)),
            "attachment.delete-on-termination": lambda eni: (
                text for a in _attachments(eni) for text in yes_or_no(a.delete_on_termination)
            ),
            "attachment.device-index": lambda eni: (str(a.device_index) for a in _attachments(eni)),
            "attachment.instance-id": lambda eni: (a.instance_id for a in _attachments(eni)),
            "attachment.instance-owner-id": lambda eni: (settings.account_id for _ in _attachments(eni)),
            "attachment.status": lambda eni: (a.status.value for a in _attachments(eni)),
            "availability-zone": lambda eni: (eni.zone,),
            "description": lambda eni: (eni.description,),
            "group-id": lambda eni: eni.groups,
            "group-name": lambda eni: (call.cloud.group(group_id).name for group_id in eni.groups),
            "interface-type": lambda eni: (eni.kind,),
            "ipv4-prefixes.ipv4-prefix": lambda eni: map(str, eni.prefixes),
            "ipv6-addresses.ipv6-address": lambda eni: map(str, eni.ipv6),
            "ipv6-prefixes.ipv6-prefix": lambda eni: map(str, eni.ipv6_prefixes),
            "mac-address": lambda eni: (eni.mac,),
            "network-interface-id": lambda eni: (eni.eni_id,),
            "owner-id": always(settings.account_id),
            "private-dns-name": lambda eni: (private_dns_name(settings.region, eni.primary),),
            "private-ip-address": lambda eni: (str(eni.primary),),
            "requester-id": always(settings.account_id),
            "requester-managed": always("false"),
            "source-dest-check": lambda eni: yes_or_no(eni.source_dest_check),
            "status": lambda eni: (eni.status,),
            "subnet-id": lambda eni: (eni.subnet_id,),
            "vpc-id": lambda eni: (eni.vpc_id,),
        },
        lambda eni: call.tags_of(eni.eni_id),
    )


def _named_addresses(parameters: Parameters) -> tuple[str, list[str]]:
    """Return the primary address, or an empty text, and the secondary ones that a request names."""
    primary = parameters.text("PrivateIpAddress")
    secondary: list[str] = []
    for level in parameters.children("PrivateIpAddresses"):
        level.allow("PrivateIpAddress", "Primary")
        address = level.required("PrivateIpAddress")
        if not level.flag("Primary"):
            secondary.append(address)
        elif primary and primary != address:
            raise errors.invalid_combination("Only one primary private IP address can be specified")
        else:
            primary = address
    return primary, secondary


def _named(call: Call, eni_ids: tuple[str, ...]) -> list[Interface]:
    found = []
    for eni_id in dict.fromkeys(eni_ids):
        eni = call.cloud.interfaces.at(eni_id, call.moment)
        if eni is None:
            raise errors.eni_not_found(eni_id)
        found.append(eni)
    return found


def _attachments(eni: Interface) -> tuple[Attachment, ...]:
    return (eni.attachment,) if eni.attachment else ()


def _public_addresses(eni: Interface) -> tuple[str, ...]:
    return (str(eni.public_address),) if eni.public_address else ()


OPERATIONS = (
    operation(
        "CreateNetworkInterface",
        create,
        f"SubnetId Description SecurityGroupId InterfaceType TagSpecification ClientToken {ADDRESS_PARAMETERS}",
    ),
    operation("DeleteNetworkInterface", delete, "NetworkInterfaceId"),
    operation("AttachNetworkInterface", attach, "NetworkInterfaceId InstanceId DeviceIndex NetworkCardIndex"),
    operation("DetachNetworkInterface", detach, "AttachmentId Force"),
    operation(
        "ModifyNetworkInterfaceAttribute",
        modify,
        "NetworkInterfaceId Description SourceDestCheck SecurityGroupId Attachment",
    ),
    operation("DescribeNetworkInterfaces", describe, f"NetworkInterfaceId {LISTING}"),
)
