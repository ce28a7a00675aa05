"""What the lab's cloud knows, as frozen records. A change replaces a record; nobody edits one.

Records hold facts only. How EC2 words them is in ``ec2/*views.py``, how instance metadata does in ``metadata/tree.py``.
"""

import enum
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
Tags = tuple[tuple[str, str], ...]


class AttachmentStatus(enum.StrEnum):
    ATTACHING = "attaching"
    ATTACHED = "attached"
    DETACHING = "detaching"


class InstanceState(enum.IntEnum):
    """Codes of EC2's InstanceState; ``label`` is its name."""

    PENDING = 0
    RUNNING = 16
    SHUTTING_DOWN = 32
    TERMINATED = 48

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")


class ReservationKind(enum.StrEnum):
    """Type of a subnet CIDR reservation.

    Nothing inside either kind is handed out as a single address on EC2's own choice. ``PREFIX`` ranges are where
    EC2 picks delegated prefixes first; ``EXPLICIT`` ranges serve requests that name the address or prefix.
    """

    PREFIX = "prefix"
    EXPLICIT = "explicit"


@dataclass(frozen=True, slots=True)
class Vpc:
    vpc_id: str
    cidr: IPv4Network
    ipv6_cidr: IPv6Network | None = None
    extra_cidrs: tuple[IPv4Network, ...] = ()

    @property
    def cidrs(self) -> tuple[IPv4Network, ...]:
        return (self.cidr, *self.extra_cidrs)


@dataclass(frozen=True, slots=True)
class Subnet:
    subnet_id: str
    vpc_id: str
    cidr: IPv4Network
    zone: str
    ipv6_cidr: IPv6Network | None = None
    map_public: bool = False

    @property
    def gateway(self) -> IPv4Address:
        """The VPC router: base address plus one."""
        return self.cidr.network_address + 1


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    group_id: str
    vpc_id: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class CidrReservation:
    reservation_id: str
    subnet_id: str
    cidr: Network
    kind: ReservationKind
    description: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """An ENI's place in an instance."""

    attachment_id: str
    instance_id: str
    device_index: int
    card_index: int
    attached_at: float
    status: AttachmentStatus
    delete_on_termination: bool


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface (ENI). ``secondary`` excludes ``primary``; all address fields are without duplicates."""

    eni_id: str
    subnet_id: str
    vpc_id: str
    zone: str
    mac: str
    primary: IPv4Address
    groups: tuple[str, ...]
    created_at: float
    secondary: tuple[IPv4Address, ...] = ()
    prefixes: tuple[IPv4Network, ...] = ()
    ipv6: tuple[IPv6Address, ...] = ()
    ipv6_prefixes: tuple[IPv6Network, ...] = ()
    public_address: IPv4Address | None = None
    description: str = ""
    kind: str = "interface"
    source_dest_check: bool = True
    attachment: Attachment | None = None

    @property
    def status(self) -> str:
        """``in-use`` from the attach call until the detach has finished, as EC2 reports it."""
        return "in-use" if self.attachment else "available"

    @property
    def ipv4_slots(self) -> int:
        """How many of the instance type's IPv4 addresses an ENI this one uses: a prefix counts as one address."""
        return 1 + len(self.secondary) + len(self.prefixes)

    @property
    def ipv6_slots(self) -> int:
        return len(self.ipv6) + len(self.ipv6_prefixes)

    def networks(self) -> tuple[Network, ...]:
        """Everything routed to this ENI: primary first, addresses as /32 and /128."""
        singles: tuple[Address, ...] = (self.primary, *self.secondary, *self.ipv6)
        return (*map(host_network, singles), *self.prefixes, *self.ipv6_prefixes)

    def with_status(self, status: AttachmentStatus) -> "Interface":
        """Return the same ENI with its attachment in ``status``; it must be attached."""
        if self.attachment is None:
            raise ValueError(f"{self.eni_id} has no attachment")
        return replace(self, attachment=replace(self.attachment, status=status))


@dataclass(frozen=True, slots=True)
class MetadataOptions:
    """Instance metadata settings; the hop limit is the IP TTL of the answer to a token request."""

    hop_limit: int = 2
    tokens_required: bool = True


DEFAULT_METADATA_OPTIONS = MetadataOptions()


@dataclass(frozen=True, slots=True)
class Instance:
    instance_id: str
    instance_type: str
    subnet_id: str
    vpc_id: str
    zone: str
    image_id: str
    launched_at: float
    reservation_id: str
    state: InstanceState
    role_name: str = ""
    key_name: str = ""
    client_token: str = ""
    metadata_options: MetadataOptions = DEFAULT_METADATA_OPTIONS


def host_network(address: Address) -> Network:
    """Return the one-address network of ``address``. Pure."""
    if isinstance(address, IPv4Address):
        return IPv4Network((address, 32))
    return IPv6Network((address, 128))
