"""Interfaces and instances as EC2 words them: trees under wire names, of the moment that the call looks at."""

from collections.abc import Sequence

from vpc_cni.lab.cloud.clock import iso8601
from vpc_cni.lab.cloud.instances import private_dns_name
from vpc_cni.lab.cloud.networks import zone_id
from vpc_cni.lab.cloud.query.operation import Call
from vpc_cni.lab.cloud.query.xml import Tree, Value
from vpc_cni.lab.cloud.records import Attachment, Instance, InstanceState, Interface, Tags


def tag_set(tags: Tags) -> list[Value]:
    return [{"key": key, "value": value} for key, value in tags]


def group_set(call: Call, group_ids: Sequence[str]) -> list[Value]:
    items: list[Value] = []
    for group_id in group_ids:
        group = call.cloud.groups.get(group_id)
        items.append({"groupId": group_id, "groupName": group.name if group else group_id})
    return items


def interface_view(call: Call, eni: Interface) -> Tree:
    """Source: EC2 API reference, data type NetworkInterface."""
    settings = call.cloud.settings
    return {
        "association": association_view(call, eni),
        "attachment": _attachment_of_interface(eni.attachment, settings.account_id) if eni.attachment else None,
        "availabilityZone": eni.zone,
        "availabilityZoneId": zone_id(settings, eni.zone),
        "description": eni.description,
        "groupSet": group_set(call, eni.groups),
        "interfaceType": eni.kind,
        "ipv6AddressesSet": [{"ipv6Address": str(address)} for address in eni.ipv6],
        "macAddress": eni.mac,
        "networkInterfaceId": eni.eni_id,
        "ownerId": settings.account_id,
        "privateDnsName": private_dns_name(settings.region, eni.primary),
        "privateIpAddress": str(eni.primary),
        "privateIpAddressesSet": private_addresses(call, eni),
        "ipv4PrefixSet": [{"ipv4Prefix": str(prefix)} for prefix in eni.prefixes],
        "ipv6PrefixSet": [{"ipv6Prefix": str(prefix)} for prefix in eni.ipv6_prefixes],
        "requesterId": settings.account_id,
        "requesterManaged": False,
        "sourceDestCheck": eni.source_dest_check,
        "status": eni.status,
        "subnetId": eni.subnet_id,
        "tagSet": tag_set(call.tags_of(eni.eni_id)),
        "vpcId": eni.vpc_id,
        "denyAllIgwTraffic": False,
        "ipv6Native": False,
        "ipv6Address": str(eni.ipv6[0]) if eni.ipv6 else None,
        "operator": {"managed": False},
    }


def private_addresses(call: Call, eni: Interface) -> list[Value]:
    """Return the primary address first, then the secondary ones in order of assignment."""
    region = call.cloud.settings.region
    return [
        {
            "association": association_view(call, eni) if address == eni.primary else None,
            "primary": address == eni.primary,
            "privateDnsName": private_dns_name(region, address),
            "privateIpAddress": str(address),
        }
        for address in (eni.primary, *eni.secondary)
    ]


def association_view(call: Call, eni: Interface) -> Tree | None:
    """Word the public address of an ENI, if it has one."""
    if eni.public_address is None:
        return None
    return {
        "ipOwnerId": "amazon",
        "publicDnsName": f"ec2-{str(eni.public_address).replace('.', '-')}.{call.cloud.settings.region}"
        ".compute.amazonaws.com",
        "publicIp": str(eni.public_address),
    }


def instance_view(call: Call, instance: Instance) -> Tree:
    """Source: EC2 API reference, data type Instance. The first interface lends its addresses to the instance."""
    cloud = call.cloud
    kind = cloud.type_of(instance)
    enis = cloud.interfaces_of(instance.instance_id, call.moment)
    primary = enis[0] if enis else None
    public = association_view(call, primary) if primary else None
    return {
        "instanceId": instance.instance_id,
        "imageId": instance.image_id,
        "instanceState": state_view(instance.state),
        "privateDnsName": private_dns_name(cloud.settings.region, primary.primary) if primary else "",
        "dnsName": public["publicDnsName"] if public else "",
        "reason": "",
        "keyName": instance.key_name or None,
        "amiLaunchIndex": 0,
        "productCodes": [],
        "instanceType": instance.instance_type,
        "launchTime": iso8601(instance.launched_at),
        "placement": {
            "availabilityZone": instance.zone,
            "availabilityZoneId": zone_id(cloud.settings, instance.zone),
            "groupName": "",
            "tenancy": "default",
        },
        "monitoring": {"state": "disabled"},
        "subnetId": instance.subnet_id if primary else None,
        "vpcId": instance.vpc_id if primary else None,
        "privateIpAddress": str(primary.primary) if primary else None,
        "ipAddress": public["publicIp"] if public else None,
        "sourceDestCheck": primary.source_dest_check if primary else None,
        "groupSet": group_set(call, primary.groups) if primary else [],
        "architecture": kind.architectures[0],
        "rootDeviceType": "ebs",
        "rootDeviceName": "/dev/xvda",
        "blockDeviceMapping": [],
        "virtualizationType": "hvm",
        "clientToken": instance.client_token,
        "tagSet": tag_set(call.tags_of(instance.instance_id)),
        "hypervisor": "xen",
        "networkInterfaceSet": [_instance_interface(call, eni) for eni in enis],
        "iamInstanceProfile": _profile_view(call, instance),
        "ebsOptimized": False,
        "enaSupport": True,
        "metadataOptions": metadata_options_view(instance),
    }


def state_view(state: InstanceState) -> Tree:
    return {"code": int(state), "name": state.label}


def metadata_options_view(instance: Instance) -> Tree:
    options = instance.metadata_options
    return {
        "state": "applied",
        "httpTokens": "required" if options.tokens_required else "optional",
        "httpPutResponseHopLimit": options.hop_limit,
        "httpEndpoint": "enabled",
        "httpProtocolIpv6": "enabled",
        "instanceMetadataTags": "disabled",
    }


def _attachment_of_interface(attachment: Attachment, account_id: str) -> Tree:
    return {
        **_attachment_of_instance(attachment),
        "instanceId": attachment.instance_id,
        "instanceOwnerId": account_id,
    }


def _attachment_of_instance(attachment: Attachment) -> Tree:
    return {
        "attachmentId": attachment.attachment_id,
        "attachTime": iso8601(attachment.attached_at),
        "deleteOnTermination": attachment.delete_on_termination,
        "deviceIndex": attachment.device_index,
        "networkCardIndex": attachment.card_index,
        "status": attachment.status.value,
    }


def _instance_interface(call: Call, eni: Interface) -> Tree:
    """Source: EC2 API reference, data type InstanceNetworkInterface."""
    settings = call.cloud.settings
    return {
        "association": association_view(call, eni),
        "attachment": _attachment_of_instance(eni.attachment) if eni.attachment else None,
        "description": eni.description,
        "groupSet": group_set(call, eni.groups),
        "interfaceType": eni.kind,
        "ipv6AddressesSet": [{"ipv6Address": str(address)} for address in eni.ipv6],
        "macAddress": eni.mac,
        "networkInterfaceId": eni.eni_id,
        "ownerId": settings.account_id,
        "privateDnsName": private_dns_name(settings.region, eni.primary),
        "privateIpAddress": str(eni.primary),
        "privateIpAddressesSet": private_addresses(call, eni),
        "ipv4PrefixSet": [{"ipv4Prefix": str(prefix)} for prefix in eni.prefixes],
        "ipv6PrefixSet": [{"ipv6Prefix": str(prefix)} for prefix in eni.ipv6_prefixes],
        "sourceDestCheck": eni.source_dest_check,
        "status": eni.status,
        "subnetId": eni.subnet_id,
        "vpcId": eni.vpc_id,
        "operator": {"managed": False},
    }


def _profile_view(call: Call, instance: Instance) -> Tree | None:
    if not instance.role_name:
        return None
    account_id = call.cloud.settings.account_id
    return {
        "arn": f"arn:aws:iam::{account_id}:instance-profile/{instance.role_name}",
        "id": f"AIPA{instance.instance_id[-16:].upper()}",
    }
