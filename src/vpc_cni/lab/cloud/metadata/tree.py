"""What instance metadata says: a tree of texts for one instance, of the moment that the reader sees.

Source of the paths: EC2 user guide, "Instance metadata categories".
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Union

from vpc_cni.lab.cloud.clock import iso8601_seconds
from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.identity.roles import Credentials
from vpc_cni.lab.cloud.instances import private_dns_name
from vpc_cni.lab.cloud.networks import zone_id
from vpc_cni.lab.cloud.records import AttachmentStatus, Instance, Interface

Folder = Mapping[str, Union[str, "Folder"]]


class _Interfaces(Mapping[str, Folder]):
    """The folders of interfaces by hardware address, made when looked into: most reads want one or none of them."""

    def __init__(self, cloud: Cloud, enis: Sequence[Interface]) -> None:
        self._cloud = cloud
        self._enis = {eni.mac: eni for eni in enis}

    def __getitem__(self, mac: str) -> Folder:
        return _interface(self._cloud, self._enis[mac])

    def __iter__(self) -> Iterator[str]:
        return iter(self._enis)

    def __len__(self) -> int:
        return len(self._enis)


def root(cloud: Cloud, instance: Instance, moment: float, credentials: Credentials | None) -> Folder:
    """Return everything below ``/latest/``.

    Args:
        moment: interfaces are those attached then; identity does not change.
        credentials: keys of the instance's role; None when it has no role.
    """
    return {
        "dynamic": {"instance-identity": {"document": _identity_document(cloud, instance, moment)}},
        "meta-data": _meta_data(cloud, instance, moment, credentials),
    }


def look_up(folder: Folder, path: str) -> str | None:
    """Return a leaf's text, or a folder's listing with a slash after each sub-folder; None when there is nothing."""
    node: str | Folder = folder
    for part in filter(None, path.split("/")):
        if isinstance(node, str) or part not in node:
            return None
        node = node[part]
    if isinstance(node, str):
        return node
    return "\n".join(name if isinstance(node[name], str) else f"{name}/" for name in sorted(node))


def _meta_data(cloud: Cloud, instance: Instance, moment: float, credentials: Credentials | None) -> Folder:
    settings = cloud.settings
    enis = _visible_interfaces(cloud, instance, moment)
    tree: dict[str, str | Folder] = {
        "ami-id": instance.image_id,
        "ami-launch-index": "0",
        "instance-action": "none",
        "instance-id": instance.instance_id,
        "instance-life-cycle": "on-demand",
        "instance-type": instance.instance_type,
        "network": {"interfaces": {"macs": _Interfaces(cloud, enis)}},
        "placement": {
            "availability-zone": instance.zone,
            "availability-zone-id": zone_id(settings, instance.zone),
            "region": settings.region,
        },
        "reservation-id": instance.reservation_id,
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    if enis:
        tree |= _primary(cloud, enis[0])
    if credentials is not None:
        tree["iam"] = _iam(cloud, instance, credentials)
    return tree


def _visible_interfaces(cloud: Cloud, instance: Instance, moment: float) -> list[Interface]:
    """Return the attached interfaces, the primary first. An instance finds itself whole at its first boot."""
    moment = max(moment, instance.launched_at)
    enis = cloud.interfaces_of(instance.instance_id, moment)
    return [eni for eni in enis if eni.attachment and eni.attachment.status is AttachmentStatus.ATTACHED]


def _primary(cloud: Cloud, eni: Interface) -> dict[str, str | Folder]:
    name = private_dns_name(cloud.settings.region, eni.primary)
    tree: dict[str, str | Folder] = {
        "hostname": name,
        "local-hostname": name,
        "local-ipv4": str(eni.primary),
        "mac": eni.mac,
        "security-groups": _group_names(cloud, eni),
    }
    if eni.ipv6:
        tree["ipv6"] = str(eni.ipv6[0])
    if eni.public_address:
        tree["public-ipv4"] = str(eni.public_address)
    return tree


def _interface(cloud: Cloud, eni: Interface) -> Folder:
    subnet, vpc = cloud.subnet(eni.subnet_id), cloud.vpc(eni.vpc_id)
    tree: dict[str, str | Folder] = {
        "device-number": str(eni.attachment.device_index) if eni.attachment else "0",
        "interface-id": eni.eni_id,
        "local-hostname": private_dns_name(cloud.settings.region, eni.primary),
        "local-ipv4s": _lines(eni.primary, *eni.secondary),
        "mac": eni.mac,
        "network-card": str(eni.attachment.card_index) if eni.attachment else "0",
        "owner-id": cloud.settings.account_id,
        "security-group-ids": _lines(*eni.groups),
        "security-groups": _group_names(cloud, eni),
        "subnet-id": eni.subnet_id,
        "subnet-ipv4-cidr-block": str(subnet.cidr),
        "vpc-id": eni.vpc_id,
        "vpc-ipv4-cidr-block": str(vpc.cidr),
        "vpc-ipv4-cidr-blocks": _lines(*vpc.cidrs),
    }
    # These exist only where there is something to say; their absence (404) means an empty list.
    if eni.public_address:
        tree["public-ipv4s"] = str(eni.public_address)
        tree["ipv4-associations"] = {str(eni.public_address): str(eni.primary)}
    if eni.prefixes:
        tree["ipv4-prefix"] = _lines(*eni.prefixes)
    if eni.ipv6:
        tree["ipv6s"] = _lines(*eni.ipv6)
    if eni.ipv6_prefixes:
        tree["ipv6-prefix"] = _lines(*eni.ipv6_prefixes)
    if subnet.ipv6_cidr:
        tree["subnet-ipv6-cidr-blocks"] = str(subnet.ipv6_cidr)
    if vpc.ipv6_cidr:
        tree["vpc-ipv6-cidr-blocks"] = str(vpc.ipv6_cidr)
    return tree


def _iam(cloud: Cloud, instance: Instance, credentials: Credentials) -> Folder:
    issued = iso8601_seconds(credentials.issued_at)
    info = {
        "Code": "Success",
        "LastUpdated": issued,
        "InstanceProfileArn": f"arn:aws:iam::{cloud.settings.account_id}:instance-profile/{instance.role_name}",
        "InstanceProfileId": f"AIPA{instance.instance_id[-16:].upper()}",
    }
    keys = {
        "Code": "Success",
        "LastUpdated": issued,
        "Type": "AWS-HMAC",
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_key,
        "Token": credentials.token,
        "Expiration": iso8601_seconds(credentials.expires_at or 0.0),
    }
    return {
        "info": json.dumps(info, indent=2),
        "security-credentials": {instance.role_name: json.dumps(keys, indent=2)},
    }


def _identity_document(cloud: Cloud, instance: Instance, moment: float) -> str:
    enis = _visible_interfaces(cloud, instance, moment)
    document = {
        "accountId": cloud.settings.account_id,
        "architecture": cloud.type_of(instance).architectures[0],
        "availabilityZone": instance.zone,
        "imageId": instance.image_id,
        "instanceId": instance.instance_id,
        "instanceType": instance.instance_type,
        "pendingTime": iso8601_seconds(instance.launched_at),
        "privateIp": str(enis[0].primary) if enis else None,
        "region": cloud.settings.region,
        "version": "2017-09-30",
    }
    return json.dumps(document, indent=2)


def _group_names(cloud: Cloud, eni: Interface) -> str:
    return "\n".join(cloud.group(group_id).name for group_id in eni.groups)


def _lines(*values: object) -> str:
    return "\n".join(map(str, values))
