"""Changes of the cloud that the packet fabric follows: routes, links and namespaces mirror these.

Events are emitted in the order of the changes, after the records show them, on the caller's stack. They say what EC2
has accepted; how much later a link or a route follows is the fabric's own setting.
"""

from collections.abc import Callable
from dataclasses import dataclass

from vpc_cni.lab.cloud.records import Instance, Interface, Network, Subnet, Vpc


@dataclass(frozen=True, slots=True)
class VpcCreated:
    vpc: Vpc


@dataclass(frozen=True, slots=True)
class SubnetCreated:
    subnet: Subnet


@dataclass(frozen=True, slots=True)
class SubnetDeleted:
    subnet: Subnet


@dataclass(frozen=True, slots=True)
class InstanceStarted:
    """Comes before the EniAttached of its first interfaces."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class InstanceTerminated:
    """Comes after the EniDetached of all its interfaces."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class EniAttached:
    """``eni.attachment`` is set; ``eni.networks()`` is what to route to it."""

    eni: Interface
    instance: Instance


@dataclass(frozen=True, slots=True)
class EniDetached:
    """``eni.attachment`` still tells where it was."""

    eni: Interface
    instance: Instance


@dataclass(frozen=True, slots=True)
class AddressesAssigned:
    """``networks`` were added to ``eni`` (which may be unattached); addresses are /32 and /128."""

    eni: Interface
    networks: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class AddressesUnassigned:
    eni: Interface
    networks: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class EniModified:
    """Groups, description or the source/destination check changed."""

    eni: Interface


@dataclass(frozen=True, slots=True)
class EniDeleted:
    eni: Interface


Event = (
    VpcCreated
    | SubnetCreated
    | SubnetDeleted
    | InstanceStarted
    | InstanceTerminated
    | EniAttached
    | EniDetached
    | AddressesAssigned
    | AddressesUnassigned
    | EniModified
    | EniDeleted
)

Watcher = Callable[[Event], None]
