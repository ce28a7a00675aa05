"""A pod's network as values and requests. Pure; ``pod`` performs it.

What the pod sees: its address as /32, 169.254.1.1 as gateway with a permanent neighbour entry for the host end. What
the host holds: a route to the pod, a neighbour entry, and up to two rules.
Source: amazon-vpc-cni-k8s docs/cni-proposal.md.
"""

import errno
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from vpc_cni.model import MAIN_TABLE, SandboxKey
from vpc_cni.netlink import messages
from vpc_cni.netlink.objects import ANY_IPV4, Neighbour, Route, Rule
from vpc_cni.netlink.uapi import AddrGenMode, InetConf, RuleAction, Scope
from vpc_cni.netlink.wire import Message

GATEWAY = IPv4Address("169.254.1.1")
GATEWAY_NETWORK = IPv4Network("169.254.1.1/32")
TO_POD_PRIORITY = 512
FROM_POD_PRIORITY = 1536
# A node whose ip_forward was switched off for a moment gives new links 0 from then on.
HOST_END_SETTINGS = {InetConf.FORWARDING: 1}
# More receive queues would serve XDP programs only; each one costs kernel objects at every ADD.
VETH_QUEUES = 1
_LOOPBACK = 1
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EOPNOTSUPP)
_IPV6_MIN_MTU = 1280
_UNSPECIFIED_TABLE = 0


def host_network(address: IPv4Address) -> IPv4Network:
    """Return an address as a /32. By number: from an address object, ipaddress goes through text."""
    return IPv4Network(int(address))


@dataclass(frozen=True, slots=True)
class PodWiring:
    """The network of one pod, as it shall be. ``route_table`` is that of the ENI which holds the address."""

    key: SandboxKey
    address: IPv4Address
    host_ifname: str
    container_ifname: str
    host_mac: str
    container_mac: str
    mtu_bytes: int
    route_table: int = MAIN_TABLE
    network: IPv4Network = field(init=False, compare=False, repr=False)
    """The address as a /32; made once, since an ADD needs it in every request."""
    rules: tuple[Rule, ...] = field(init=False, compare=False, repr=False)
    """The host's rules of the pod; made once, for the kernel and for drift repair."""

    def __post_init__(self) -> None:
        network = host_network(self.address)
        object.__setattr__(self, "network", network)
        object.__setattr__(self, "rules", _rules_of(network, self.route_table))


@dataclass(frozen=True, slots=True)
class WiredPod:
    """What ADD made, or found: a repeated ADD keeps the pair of the first, with its hardware addresses."""

    ifindex: int
    container_ifindex: int
    host_mac: str
    container_mac: str


def host_route(wiring: PodWiring, ifindex: int) -> Route:
    """Return the route of the host to a pod."""
    return Route(wiring.network, oif=ifindex, scope=Scope.LINK)


def pod_rules(address: IPv4Address, route_table: int) -> tuple[Rule, ...]:
    """Return the rules of a pod: to it by the main table; from it by its ENI's table unless that is the main one."""
    return _rules_of(host_network(address), route_table)


def _rules_of(network: IPv4Network, route_table: int) -> tuple[Rule, ...]:
    to_pod = Rule(TO_POD_PRIORITY, destination=network)
    if route_table == MAIN_TABLE:
        return (to_pod,)
    return to_pod, Rule(FROM_POD_PRIORITY, table=route_table, source=network)


def pod_batch(wiring: PodWiring, ifindex: int, host_mac: str) -> list[Message]:
    """Return the requests for the pod's own socket. May be repeated.

    No IPv6 address is generated: nothing answers on the other end, and duplicate address detection takes the kernel's
    configuration lock at the very time when other pods start.
    """
    return [
        messages.set_link(ifindex, addr_gen_mode=AddrGenMode.NONE).tolerating(*_NO_IPV6),
        messages.set_link(_LOOPBACK, up=True),
        messages.set_link(ifindex, up=True, mtu_bytes=wiring.mtu_bytes),
        messages.add_address(ifindex, IPv4Interface(int(wiring.address))).tolerating(errno.EEXIST),
        messages.replace_route(Route(GATEWAY_NETWORK, oif=ifindex, scope=Scope.LINK)),
        messages.replace_route(Route(ANY_IPV4, oif=ifindex, gateway=GATEWAY)),
        messages.replace_neighbour(Neighbour(ifindex, GATEWAY, host_mac)),
    ]


def host_neighbour(wiring: PodWiring, ifindex: int, container_mac: str) -> Neighbour:
    """Return the host's entry for a pod. Permanent ones are neither resolved nor counted against gc_thresh."""
    return Neighbour(ifindex, wiring.address, container_mac)


def host_batch(wiring: PodWiring, ifindex: int, container_mac: str, *, ipv6: bool) -> list[Message]:
    """Return the requests that complete a host end. May be repeated.

    Address generation is off: nobody speaks IPv6 to the host end, and its link-local address would cost duplicate
    address detection and multicast reports for each pod. It precedes the carrier, so no address appears before.

    Args:
        ipv6: whether the kernel has IPv6, and has not yet been told about address generation. It refuses to be told
            where a link has no IPv6: there, and with an MTU below 1280.
    """
    return [
        messages.set_link(
            ifindex,
            up=True,
            alias=wiring.key.alias,
            mtu_bytes=wiring.mtu_bytes,
            addr_gen_mode=AddrGenMode.NONE if ipv6 and wiring.mtu_bytes >= _IPV6_MIN_MTU else None,
            inet_conf=HOST_END_SETTINGS,
        ),
        messages.replace_route(host_route(wiring, ifindex)),
        messages.replace_neighbour(host_neighbour(wiring, ifindex, container_mac)),
        *(messages.add_rule(rule).tolerating(errno.EEXIST) for rule in wiring.rules),
    ]


def remove_source_rule(network: IPv4Network) -> list[Message]:
    """Remove a rule of the address's former life, whatever its table: the older of two equal ones would win."""
    stale = Rule(FROM_POD_PRIORITY, _UNSPECIFIED_TABLE, source=network)
    return [messages.delete_rule(stale).tolerating(errno.ENOENT)]


def remove_pod_rules(network: IPv4Network) -> list[Message]:
    """Remove two copies of each rule of a pod, whatever the table; the second answer tells whether to go on."""
    to_pod = messages.delete_rule(Rule(TO_POD_PRIORITY, destination=network)).tolerating(errno.ENOENT)
    from_pod = messages.delete_rule(
        Rule(FROM_POD_PRIORITY, _UNSPECIFIED_TABLE, source=network, action=RuleAction.TO_TABLE)
    ).tolerating(errno.ENOENT)
    return [to_pod, to_pod, from_pod, from_pod]
