"""Who this node is and which ENIs it has: metadata first, EC2's word over it. Blocking: for worker threads.

Metadata is always there and lags EC2 by seconds; EC2 is the truth and may be slow, throttled or denied. So identity
and the layout of ENIs come from metadata, addresses and tags from EC2 when it answers. Without EC2 the node still
starts: with what metadata says, and a reason in the log.
"""

import dataclasses
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from vpc_cni.ec2 import Ec2Client, InstanceIdentity, MetadataClient, NetworkInterface
from vpc_cni.errors import CloudError, ConfigurationError
from vpc_cni.ipam import InstanceLimits, find_limits
from vpc_cni.ipam.journal_state import JournalState
from vpc_cni.ipam.limits import NetworkCard
from vpc_cni.ipam.ownership import Management, classify_eni
from vpc_cni.model import Eni

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AttachedEnis:
    """The ENIs of this instance at one moment.

    ``managed`` are ours to use, the primary one first; ``unmanaged`` only take a place. ``security_groups`` are those
    of each managed ENI, sorted; empty when EC2 was not heard. ``unprotected`` are those of the managed ones that this
    node made and that would outlive it. ``problem`` says why the picture is metadata's alone; None when it is EC2's.
    """

    managed: tuple[Eni, ...]
    unmanaged: tuple[Eni, ...] = ()
    security_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unprotected: tuple[Eni, ...] = ()
    problem: CloudError | None = None

    @property
    def is_ec2_word(self) -> bool:
        return self.problem is None


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Facts about the instance that hold for the life of this process."""

    instance: InstanceIdentity
    limits: InstanceLimits
    vpc_id: str
    vpc_cidrs: tuple[IPv4Network, ...]
    security_groups: tuple[str, ...]


def read_node(metadata: MetadataClient, instance: InstanceIdentity, client: Ec2Client) -> NodeIdentity:
    """Read what the node needs to know once.

    Raises:
        CloudError: metadata failed, or the instance type is unknown and EC2 does not tell its limits.
    """
    mac = instance.primary_mac
    return NodeIdentity(
        instance=instance,
        limits=read_limits(instance.instance_type, client),
        vpc_id=metadata.vpc_id(mac=mac),
        vpc_cidrs=metadata.vpc_cidrs(mac=mac),
        security_groups=metadata.security_groups(mac=mac),
    )


def read_limits(instance_type: str, client: Ec2Client) -> InstanceLimits:
    """Return the limits of the type from the packaged table, else from EC2."""
    try:
        return find_limits(instance_type)
    except ConfigurationError:
        described = client.describe_instance_type(name=instance_type)
    return InstanceLimits(
        instance_type=instance_type,
        total_enis=described.maximum_interfaces,
        ipv4_per_eni=described.ipv4_addresses_per_interface,
        ipv6_per_eni=0,
        ipv6_supported=False,
        default_network_card=described.default_network_card,
        network_cards=tuple(NetworkCard(card.index, card.maximum_interfaces) for card in described.network_cards),
        hypervisor=described.hypervisor or "none",
        bare_metal=described.bare_metal,
        efa=False,
        architectures=(),
        vcpus=0,
        memory_mib=0,
    )


def read_enis(
    metadata: MetadataClient, client: Ec2Client, instance: InstanceIdentity, *, manage_untagged: bool
) -> AttachedEnis:
    """Return the attached ENIs.

    Raises:
        CloudError: metadata failed; a failure of EC2 is reported in the result instead.
    """
    from_metadata = metadata.list_enis(primary_mac=instance.primary_mac)
    try:
        described = _describe(client, instance.instance_id)
        _require_primary(described, from_metadata)
    except CloudError as err:
        _log.warning("ENIs are taken from instance metadata, which lags behind: %s", err)
        return AttachedEnis(from_metadata, problem=err)
    return _merge(from_metadata, described, instance.instance_id, manage_untagged=manage_untagged)


def known_enis(enis: Iterable[Eni], state: JournalState) -> tuple[Eni, ...]:
    """Return those ENIs of metadata that are surely ours: the primary one, and those whose addresses we used. Pure.

    Without EC2 nobody knows the tags that forbid an interface to us.
    """
    used = {add.intent.eni_id for add in state.adds.values()} | {each.eni_id for each in state.coolings.values()}
    return tuple(eni for eni in enis if eni.is_primary or eni.eni_id in used)


def _describe(client: Ec2Client, instance_id: str) -> dict[str, NetworkInterface]:
    filters = {"attachment.instance-id": [instance_id]}
    return {each.eni_id: each for each in client.find_network_interfaces(filters=filters)}


def _require_primary(described: Mapping[str, NetworkInterface], from_metadata: Iterable[Eni]) -> None:
    """Refuse an answer of EC2 that is older than the instance: it lists none of its ENIs yet.

    Raises:
        CloudError: the primary ENI is missing, and it can never be detached.
    """
    for eni in from_metadata:
        if eni.is_primary and eni.eni_id not in described:
            raise CloudError(
                f"EC2 does not list the primary ENI {eni.eni_id} yet", operation="DescribeNetworkInterfaces"
            )


def _merge(
    from_metadata: Iterable[Eni], described: Mapping[str, NetworkInterface], instance_id: str, *, manage_untagged: bool
) -> AttachedEnis:
    """Combine both views. Pure.

    The set of ENIs is EC2's; the subnet's CIDR is known to metadata only, for ENIs it has seen, so an ENI that
    metadata does not list yet must share a subnet with one that it does.
    """
    known = {eni.eni_id: eni for eni in from_metadata}
    cidrs = {eni.subnet_id: eni.subnet_cidr for eni in known.values()}
    managed: list[Eni] = []
    unmanaged: list[Eni] = []
    unprotected: list[Eni] = []
    for interface in described.values():
        eni = _as_eni(interface, known.get(interface.eni_id), cidrs)
        if eni is None:
            continue
        verdict = classify_eni(eni, interface.tags, instance_id, manage_untagged=manage_untagged)
        (managed if verdict.is_managed else unmanaged).append(eni)
        if verdict is Management.TAGGED_OWN and not _goes_with_instance(interface):
            unprotected.append(eni)
    order = sorted(managed, key=lambda eni: (eni.network_card, eni.device_number))
    groups = {eni.eni_id: tuple(sorted(described[eni.eni_id].security_groups)) for eni in managed}
    return AttachedEnis(tuple(order), tuple(unmanaged), groups, tuple(unprotected))


def _goes_with_instance(interface: NetworkInterface) -> bool:
    return interface.attachment is not None and interface.attachment.delete_on_termination


def _as_eni(interface: NetworkInterface, seen: Eni | None, cidrs: Mapping[str, IPv4Network]) -> Eni | None:
    attachment = interface.attachment
    if attachment is None or attachment.status in ("detaching", "detached") or interface.primary_address is None:
        return None
    cidr = cidrs.get(interface.subnet_id)
    if cidr is None:
        _log.warning("%s is left out: metadata does not know its subnet yet", interface.eni_id)
        return None
    eni = interface.as_eni(cidr)
    # Metadata's device number is corrected for types that count the primary interface differently.
    return eni if seen is None else dataclasses.replace(eni, device_number=seen.device_number)
