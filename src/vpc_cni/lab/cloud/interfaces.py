"""The life of an ENI: created, attached, changed, detached, deleted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from vpc_cni.lab.cloud import addresses, errors, networks, tags
from vpc_cni.lab.cloud.addresses import NOTHING4, NOTHING6, Order4, Order6
from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.events import EniAttached, EniDeleted, EniDetached, EniModified
from vpc_cni.lab.cloud.records import Attachment, AttachmentStatus, Instance, InstanceState, Interface, Subnet
from vpc_cni.lab.cloud.space import PREFIX_SIZE

INTERFACE_KINDS = ("interface", "efa", "efa-only", "trunk", "branch")


@dataclass(frozen=True, slots=True)
class InterfaceRequest:
    """What CreateNetworkInterface asks for. Without ``groups`` the VPC's default group is used.

    ``ipv4`` is what comes beside the primary address; the primary is drawn at random unless named.
    """

    subnet_id: str
    description: str = ""
    groups: tuple[str, ...] = ()
    primary: IPv4Address | None = None
    ipv4: Order4 = NOTHING4
    ipv6: Order6 = NOTHING6
    kind: str = "interface"
    tags: Mapping[str, str] = field(default_factory=dict)


def create(cloud: Cloud, request: InterfaceRequest) -> Interface:
    """Create an ENI with all its addresses in one step."""
    now = cloud.now()
    tags.check(request.tags)
    subnet = cloud.subnet(request.subnet_id)
    groups = _check_groups(cloud, subnet, request.groups)
    if request.kind not in INTERFACE_KINDS:
        raise errors.invalid_value(f"Invalid interface type '{request.kind}'")
    if 1 + request.ipv4.slots > addresses.UNATTACHED_LIMIT:
        raise errors.address_limit()
    if request.ipv6.slots > addresses.UNATTACHED_LIMIT:
        raise errors.ipv6_limit()
    eni = replace(_take_addresses(cloud, request, subnet), groups=groups, created_at=now)
    cloud.interfaces.put(eni.eni_id, eni, now)
    cloud.note_owner(eni.vpc_id, (eni.primary, *eni.secondary, *eni.ipv6), eni.eni_id)
    tags.set_first(cloud, eni.eni_id, request.tags, now)
    return eni


def delete(cloud: Cloud, eni_id: str) -> None:
    """Delete an ENI that is not attached; its addresses are free at once."""
    now = cloud.now()
    eni = cloud.interface(eni_id)
    if eni.attachment is not None:
        raise errors.eni_in_use(eni_id)
    _remove(cloud, eni, now)


def attach(
    cloud: Cloud,
    eni_id: str,
    instance_id: str,
    device_index: int,
    *,
    card_index: int = 0,
    delete_on_termination: bool = False,
) -> Attachment:
    """Attach an ENI to a running instance of its zone."""
    now = cloud.now()
    eni = cloud.interface(eni_id)
    instance = cloud.instance(instance_id)
    if instance.state is not InstanceState.RUNNING:
        raise errors.wrong_instance_state(instance_id)
    check_place(cloud, eni, instance, device_index, card_index)
    return place(
        cloud,
        eni,
        instance,
        device_index=device_index,
        card_index=card_index,
        delete_on_termination=delete_on_termination,
        now=now,
        seconds=cloud.settings.attach_seconds,
    )


def detach(cloud: Cloud, attachment_id: str) -> None:
    """Start to detach an ENI; it is ``available`` ``detach_seconds`` later. Repeating the call is no error."""
    now = cloud.now()
    eni = by_attachment(cloud, attachment_id)
    attachment = _attachment_of(eni)
    if attachment.device_index == 0:
        raise errors.primary_not_detachable(attachment.device_index, attachment.card_index)
    if attachment.status is not AttachmentStatus.DETACHING:
        leave(cloud, eni, now, cloud.settings.detach_seconds)


def set_description(cloud: Cloud, eni_id: str, description: str) -> None:
    _modify(cloud, replace(cloud.interface(eni_id), description=description))


def set_source_dest_check(cloud: Cloud, eni_id: str, check: bool) -> None:
    _modify(cloud, replace(cloud.interface(eni_id), source_dest_check=check))


def set_groups(cloud: Cloud, eni_id: str, groups: Sequence[str]) -> None:
    eni = cloud.interface(eni_id)
    checked = _check_groups(cloud, cloud.subnet(eni.subnet_id), groups)
    _modify(cloud, replace(eni, groups=checked))


def set_delete_on_termination(cloud: Cloud, eni_id: str, attachment_id: str, delete_too: bool) -> None:
    eni = cloud.interface(eni_id)
    if eni.attachment is None or eni.attachment.attachment_id != attachment_id:
        raise errors.attachment_not_found(attachment_id)
    _modify(cloud, replace(eni, attachment=replace(eni.attachment, delete_on_termination=delete_too)))


def by_attachment(cloud: Cloud, attachment_id: str) -> Interface:
    for eni in cloud.interfaces.values():
        if eni.attachment and eni.attachment.attachment_id == attachment_id:
            return eni
    raise errors.attachment_not_found(attachment_id)


def check_place(cloud: Cloud, eni: Interface, instance: Instance, device_index: int, card_index: int) -> None:
    """Raise EC2's error when the ENI cannot go to that place: in use, zone, device index, card, limits."""
    kind = cloud.type_of(instance)
    if eni.attachment is not None:
        raise errors.eni_attached_elsewhere(eni.eni_id)
    if eni.zone != instance.zone:
        raise errors.wrong_zone()
    present = [_attachment_of(other) for other in cloud.interfaces_of(instance.instance_id)]
    if not 0 <= card_index < len(kind.network_cards):
        raise errors.invalid_value(f"Network card index {card_index} exceeds the limit for {kind.instance_type}")
    on_card = [attachment for attachment in present if attachment.card_index == card_index]
    if any(attachment.device_index == device_index for attachment in on_card):
        raise errors.device_index_taken(instance.instance_id, device_index)
    if len(present) >= kind.total_enis or len(on_card) >= kind.network_cards[card_index].max_enis:
        raise errors.attachment_limit(len(present) + 1, kind.instance_type)
    if eni.ipv4_slots > kind.ipv4_per_eni:
        raise errors.address_limit()
    if eni.ipv6_slots > kind.ipv6_per_eni:
        raise errors.ipv6_limit()


def place(
    cloud: Cloud,
    eni: Interface,
    instance: Instance,
    *,
    device_index: int,
    card_index: int,
    delete_on_termination: bool,
    now: float,
    seconds: float,
) -> Attachment:
    """Attach without checks (``check_place`` has made them); it is ``attached`` ``seconds`` later."""
    attachment = Attachment(
        attachment_id=cloud.ids.resource("eni-attach"),
        instance_id=instance.instance_id,
        device_index=device_index,
        card_index=card_index,
        attached_at=now,
        status=AttachmentStatus.ATTACHING if seconds else AttachmentStatus.ATTACHED,
        delete_on_termination=delete_on_termination,
    )
    eni = replace(eni, attachment=attachment)
    cloud.interfaces.put(eni.eni_id, eni, now)
    if seconds:
        cloud.schedule(now + seconds, _finish_attach(cloud, eni.eni_id, attachment.attachment_id))
    cloud.emit(EniAttached(eni, instance))
    return attachment


def leave(cloud: Cloud, eni: Interface, now: float, seconds: float) -> None:
    """Take an ENI from its instance; also used for termination, where device 0 leaves too.

    One that is on its way out already is not announced again; it ends at the earlier of the two times.
    """
    attachment = _attachment_of(eni)
    if attachment.status is not AttachmentStatus.DETACHING:
        eni = eni.with_status(AttachmentStatus.DETACHING)
        cloud.interfaces.put(eni.eni_id, eni, now)
        cloud.emit(EniDetached(eni, cloud.instance(attachment.instance_id)))
    cloud.schedule(now + seconds, _finish_detach(cloud, eni.eni_id, attachment.attachment_id))
    cloud.now()


def _finish_attach(cloud: Cloud, eni_id: str, attachment_id: str) -> Callable[[float], None]:
    def finish(due: float) -> None:
        eni = cloud.interfaces.get(eni_id)
        attachment = eni.attachment if eni else None
        if eni is None or attachment is None or attachment.attachment_id != attachment_id:
            return
        if attachment.status is AttachmentStatus.ATTACHING:
            cloud.interfaces.put(eni_id, eni.with_status(AttachmentStatus.ATTACHED), due)

    return finish


def _finish_detach(cloud: Cloud, eni_id: str, attachment_id: str) -> Callable[[float], None]:
    def finish(due: float) -> None:
        eni = cloud.interfaces.get(eni_id)
        if eni is None or eni.attachment is None or eni.attachment.attachment_id != attachment_id:
            return
        free = replace(eni, attachment=None)
        cloud.interfaces.put(eni_id, free, due)

    return finish


def _remove(cloud: Cloud, eni: Interface, now: float) -> None:
    addresses.release_all(cloud, eni)
    cloud.interfaces.drop(eni.eni_id, now)
    tags.drop(cloud, eni.eni_id, now)
    cloud.emit(EniDeleted(eni))


def _modify(cloud: Cloud, eni: Interface) -> None:
    cloud.interfaces.put(eni.eni_id, eni, cloud.now())
    cloud.emit(EniModified(eni))


def _take_addresses(cloud: Cloud, request: InterfaceRequest, subnet: Subnet) -> Interface:
    order = request.ipv4
    if request.primary is not None:
        order = replace(order, addresses=(request.primary, *order.addresses))
    else:
        order = replace(order, count=order.count + 1)
    if order.prefix_count and cloud.spaces[subnet.subnet_id].free_count < PREFIX_SIZE * order.prefix_count:
        raise errors.too_few_for_prefixes()
    taken, prefixes = addresses.take4(cloud, subnet.subnet_id, order)
    try:
        ipv6, ipv6_prefixes = addresses.take6(cloud, subnet.subnet_id, request.ipv6)
    except errors.CloudApiError:
        cloud.spaces[subnet.subnet_id].release(taken, prefixes)
        raise
    primary = request.primary or taken[-1]
    return Interface(
        eni_id=cloud.ids.resource("eni"),
        subnet_id=subnet.subnet_id,
        vpc_id=subnet.vpc_id,
        zone=subnet.zone,
        mac=cloud.ids.mac(),
        primary=primary,
        secondary=tuple(address for address in taken if address != primary),
        prefixes=prefixes,
        ipv6=ipv6,
        ipv6_prefixes=ipv6_prefixes,
        description=request.description,
        kind=request.kind,
        groups=(),
        created_at=0.0,
    )


def _check_groups(cloud: Cloud, subnet: Subnet, groups: Sequence[str]) -> tuple[str, ...]:
    if not groups:
        return (networks.default_group(cloud, subnet.vpc_id).group_id,)
    for group_id in groups:
        if cloud.group(group_id).vpc_id != subnet.vpc_id:
            raise errors.CloudApiError(
                "InvalidParameter",
                f"Security group {group_id} and subnet {subnet.subnet_id} belong to different networks.",
            )
    return tuple(dict.fromkeys(groups))


def _attachment_of(eni: Interface) -> Attachment:
    if eni.attachment is None:
        raise ValueError(f"{eni.eni_id} has no attachment")
    return eni.attachment
