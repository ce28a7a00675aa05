"""From the cloud's records to the fabric's ports: which event changes which wire."""

from collections.abc import Awaitable, Callable

from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.events import (
    AddressesAssigned,
    AddressesUnassigned,
    EniAttached,
    EniDetached,
    EniModified,
    Event,
    InstanceStarted,
    InstanceTerminated,
    SubnetCreated,
    SubnetDeleted,
    VpcCreated,
)
from vpc_cni.lab.cloud.records import AttachmentStatus, Interface, Subnet, host_network
from vpc_cni.lab.fabric import EniPort, Fabric

# Nitro instances number their first interface ens5; each network card continues where the one before it ends.
FIRST_LINK_NUMBER = 5
CARD_LINKS = 20

Later = Callable[[Awaitable[None]], object]


class CloudWiring:
    """Watches one cloud and moves the wires.

    Args:
        start_namespace, end_namespace: make and drop the namespace of an instance, by instance id.
        later: schedules work that the event handler must not wait for.
    """

    def __init__(
        self,
        cloud: Cloud,
        fabric: Fabric,
        start_namespace: Callable[[str], None],
        end_namespace: Callable[[str], None],
        later: Later,
    ) -> None:
        self._cloud = cloud
        self._fabric = fabric
        self._start_namespace = start_namespace
        self._end_namespace = end_namespace
        self._later = later
        cloud.subscribe(self._on_event)

    def _on_event(self, event: Event) -> None:
        match event:
            case VpcCreated(vpc):
                for cidr in vpc.cidrs:
                    self._later(self._fabric.add_cidr(cidr))
            case SubnetCreated(subnet):
                self._later(self._fabric.add_gateway(subnet.gateway))
            case SubnetDeleted(subnet):
                self._later(self._fabric.remove_gateway(subnet.gateway))
            case InstanceStarted(instance):
                self._start_namespace(instance.instance_id)
            case InstanceTerminated(instance):
                self._end_namespace(instance.instance_id)
            case EniAttached(eni, _) | AddressesAssigned(eni, _) | AddressesUnassigned(eni, _) | EniModified(eni):
                self._put(eni)
            case EniDetached(eni, _):
                self._fabric.drop_port(eni.eni_id)

    def _put(self, eni: Interface) -> None:
        """Follow an ENI that has a wire. The primary one is there when the instance starts: no delay."""
        if eni.attachment is None or eni.attachment.status is AttachmentStatus.DETACHING:
            return
        port = eni_port(eni, self._cloud.subnet(eni.subnet_id))
        self._fabric.put_port(port, delayed=eni.attachment.device_index != 0)


def eni_port(eni: Interface, subnet: Subnet) -> EniPort:
    """Return the wire's view of an attached ENI. Pure.

    Raises:
        ValueError: it is not attached.
    """
    if eni.attachment is None:
        raise ValueError(f"{eni.eni_id} is not attached")
    place = eni.attachment
    return EniPort(
        eni_id=eni.eni_id,
        node=place.instance_id,
        ifname=link_name(place.card_index, place.device_index),
        mac=eni.mac,
        primary_address=eni.primary,
        gateway=subnet.gateway,
        routed=frozenset(eni.networks()) - {host_network(eni.primary)},
        public_address=eni.public_address,
        source_dest_check=eni.source_dest_check,
    )


def link_name(card_index: int, device_index: int) -> str:
    """Return the name of an ENI's link inside the instance."""
    return f"ens{FIRST_LINK_NUMBER + card_index * CARD_LINKS + device_index}"
