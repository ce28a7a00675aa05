"""What the fabric is told: the VPC's shape and the ENIs that are attached. Plain values, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Network

IpNetwork = IPv4Network | IPv6Network

METADATA_ADDRESS = IPv4Address("169.254.169.254")
# Where the router answers the EC2 and STS APIs for nodes: a link-local address that AWS does not use.
ENDPOINT_ADDRESS = IPv4Address("169.254.169.250")
# Where EKS serves container credentials; SDKs accept plain HTTP from few addresses, this is one of them.
CONTAINER_CREDENTIALS_ADDRESS = IPv4Address("169.254.170.23")


@dataclass(frozen=True, slots=True)
class EniPort:
    """An ENI as the wires see it.

    ``node`` is the namespace name of the instance, ``ifname`` the link's name inside it. ``routed`` holds every
    secondary address (/32, /128) and prefix (/28, /80) of the ENI, in no order, without the primary address.
    ``public_address`` is the 1:1 mapped public address of the primary address. A port that is
    not ``forwarding`` has a link and no traffic.
    """

    eni_id: str
    node: str
    ifname: str
    mac: str
    primary_address: IPv4Address
    gateway: IPv4Address
    routed: frozenset[IpNetwork] = frozenset()
    public_address: IPv4Address | None = None
    source_dest_check: bool = True
    forwarding: bool = True


@dataclass(frozen=True, slots=True)
class FabricOptions:
    """Behaviour of the wires.

    Args:
        mtu_bytes: of every link inside the VPC; AWS has 9001.
        link_delay_seconds: from attach until the link is in the node.
        packet_delay_seconds: from the link's appearance until the router forwards for it.
    """

    mtu_bytes: int = 9001
    internet_mtu_bytes: int = 1500
    link_delay_seconds: float = 0.0
    packet_delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PortFault:
    """What is broken on one ENI's wire: ``loss_percent`` of its packets, or all (``down``)."""

    loss_percent: int = 0
    down: bool = False


@dataclass(frozen=True, slots=True)
class FabricCounters:
    """Packets that the router dropped, by reason: spoofed source by ENI id, and unmapped ones for the internet."""

    spoofed: Mapping[str, int] = field(default_factory=dict)
    unmapped: int = 0
