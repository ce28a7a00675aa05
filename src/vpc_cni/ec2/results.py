"""What EC2 answers, as frozen values. Pure; no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from vpc_cni.errors import InternalError
from vpc_cni.model import Eni


@dataclass(frozen=True, slots=True)
class Attachment:
    """The bond between an ENI and an instance.

    ``status`` is one of ``attaching``, ``attached``, ``detaching``, ``detached``. ``instance_id`` is empty for an
    attachment that another account's service owns.
    """

    attachment_id: str
    instance_id: str
    device_number: int
    network_card: int = 0
    status: str = ""
    delete_on_termination: bool = False


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """An ENI as EC2 describes it, attached or not.

    ``addresses`` are the secondary ones in EC2's order. ``primary_address`` is None for an interface without IPv4
    (EFA-only). ``interface_type`` is EC2's word: ``interface``, ``trunk``, ``branch``, ``efa``, ``efa-only``.
    """

    eni_id: str
    mac: str
    status: str
    subnet_id: str
    vpc_id: str
    zone: str
    description: str
    interface_type: str
    primary_address: IPv4Address | None
    addresses: tuple[IPv4Address, ...] = ()
    prefixes: tuple[IPv4Network, ...] = ()
    security_groups: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    attachment: Attachment | None = None

    def as_eni(self, subnet_cidr: IPv4Network) -> Eni:
        """Return the model's view of an attached ENI.

        Args:
            subnet_cidr: of ``subnet_id``; DescribeNetworkInterfaces does not say it.

        Raises:
            InternalError: the interface is not attached or has no IPv4 address.
        """
        if self.attachment is None or self.primary_address is None:
            raise InternalError(f"{self.eni_id} is no pod interface: it is not attached or has no IPv4 address")
        return Eni(
            eni_id=self.eni_id,
            mac=self.mac,
            device_number=self.attachment.device_number,
            subnet_id=self.subnet_id,
            subnet_cidr=subnet_cidr,
            primary_address=self.primary_address,
            addresses=self.addresses,
            prefixes=self.prefixes,
            attachment_id=self.attachment.attachment_id,
            network_card=self.attachment.network_card,
            is_trunk=self.interface_type == "trunk",
            is_efa=self.interface_type in ("efa", "efa-only"),
        )


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance; ``state`` is EC2's word, for example ``running`` or ``terminated``."""

    instance_id: str
    instance_type: str
    state: str
    subnet_id: str
    vpc_id: str
    zone: str
    network_interfaces: tuple[NetworkInterface, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    def device_numbers(self, network_card: int = 0) -> frozenset[int]:
        """Return the device numbers taken on a network card."""
        attachments = (interface.attachment for interface in self.network_interfaces)
        return frozenset(a.device_number for a in attachments if a is not None and a.network_card == network_card)


@dataclass(frozen=True, slots=True)
class NetworkCard:
    index: int
    maximum_interfaces: int


@dataclass(frozen=True, slots=True)
class InstanceType:
    """Network limits of an instance type; ``hypervisor`` is ``nitro``, ``xen`` or empty (bare metal)."""

    name: str
    maximum_interfaces: int
    ipv4_addresses_per_interface: int
    default_network_card: int
    network_cards: tuple[NetworkCard, ...]
    hypervisor: str
    bare_metal: bool


@dataclass(frozen=True, slots=True)
class Subnet:
    subnet_id: str
    vpc_id: str
    zone: str
    cidr: IPv4Network
    free_addresses: int
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
