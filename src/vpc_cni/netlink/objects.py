"""What the kernel holds, as frozen values: links, addresses, routes, rules, neighbours.

The same type says what shall be (argument of an encoder in ``messages``) and what is (result of a dump), so that
desired and actual state can be compared and kept in sets.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from vpc_cni.model import MAIN_TABLE
from vpc_cni.netlink.uapi import IFF_LOWER_UP, IFF_UP, NeighbourState, RouteKind, RouteProtocol, RuleAction, Scope

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
IPInterface = IPv4Interface | IPv6Interface

ANY_IPV4 = IPv4Network("0.0.0.0/0")
ANY_IPV6 = IPv6Network("::/0")


@dataclass(frozen=True, slots=True)
class Link:
    """A network link. ``mac`` is lower case with colons, empty where the link has none.

    ``peer_ifindex`` is the index of the other end (veth) or the parent, in the namespace ``peer_nsid`` (-1: the
    same namespace, or one without an id here).
    """

    ifindex: int
    name: str
    flags: int = 0
    mac: str = ""
    mtu_bytes: int = 0
    kind: str = ""
    alias: str = ""
    group: int = 0
    altnames: tuple[str, ...] = ()
    master: int = 0
    peer_ifindex: int = 0
    peer_nsid: int = -1
    operstate: int = 0

    @property
    def is_up(self) -> bool:
        """Whether an administrator has set it up; says nothing about the carrier."""
        return bool(self.flags & IFF_UP)

    @property
    def has_carrier(self) -> bool:
        return bool(self.flags & IFF_LOWER_UP)


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a link, with the prefix length it was configured with."""

    ifindex: int
    interface: IPInterface
    scope: int = Scope.UNIVERSE
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """One route. ``metric`` 0 means the family's default (an IPv6 dump shows 1024)."""

    destination: IPNetwork
    table: int = MAIN_TABLE
    oif: int = 0
    gateway: IPAddress | None = None
    scope: int = Scope.UNIVERSE
    kind: int = RouteKind.UNICAST
    protocol: int = RouteProtocol.BOOT
    metric: int = 0
    preferred_source: IPAddress | None = None
    onlink: bool = False

    @property
    def path(self) -> tuple[object, ...]:
        """What makes the route do its work, for comparisons: who made it, and with which flags, does not matter."""
        return self.destination, self.table, self.oif, self.gateway, self.scope, self.kind


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy rule. A dumped rule with selectors not listed here has their numbers in ``other_selectors``."""

    priority: int
    table: int = MAIN_TABLE
    source: IPNetwork | None = None
    destination: IPNetwork | None = None
    fwmark: int = 0
    fwmask: int = 0
    iif: str = ""
    oif: str = ""
    action: int = RuleAction.TO_TABLE
    flags: int = 0
    other_selectors: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A link-layer neighbour. A proxy entry has no MAC."""

    ifindex: int
    address: IPAddress
    mac: str = ""
    state: int = NeighbourState.PERMANENT
    proxy: bool = False


@dataclass(frozen=True, slots=True)
class NetConf:
    """IPv4 settings of a link as RTM_NEWNETCONF reports them; -1 for what an event does not mention.

    ``ifindex`` -1 stands for "all", -2 for "default".
    """

    ifindex: int
    forwarding: int = -1
    rp_filter: int = -1
