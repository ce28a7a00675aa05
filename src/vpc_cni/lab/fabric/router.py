"""The VPC router in a namespace: knows every ENI's addresses, answers for all of them, forwards only what is assigned.

Routes and permanent neighbours are the whole truth here; nothing is learnt from nodes, as in a VPC: a gratuitous ARP
has no effect, and a node that changes its ENI's MAC loses its traffic. Known differences from AWS: the router takes
one TTL, the gateway answers pings, and the MAC addresses of others are the router's.
"""

import errno
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from vpc_cni.errors import VpcCniError
from vpc_cni.lab.fabric import rules
from vpc_cni.lab.fabric.model import EniPort, FabricCounters, FabricOptions, IpNetwork, PortFault
from vpc_cni.lab.fabric.nft import list_counters, open_nftables
from vpc_cni.netlink import messages
from vpc_cni.netlink.netns import Netns
from vpc_cni.netlink.objects import Neighbour, Route
from vpc_cni.netlink.route_socket import RouteSocket
from vpc_cni.netlink.uapi import RouteKind, Scope
from vpc_cni.netlink.wire import Message

LOOPBACK = 1
DETACH_GROUP = 0x1AB

# Before the first link: proxy_arp of a link is copied from "default" when it is created. IPv4 settings of a new
# namespace may be inherited from the initial one, so each is set, also to its usual default.
ROUTER_SYSCTLS: Mapping[str, int] = {
    "net/ipv4/ip_forward": 1,
    "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/default/rp_filter": 0,
    "net/ipv4/conf/all/proxy_arp": 0,
    "net/ipv4/conf/default/proxy_arp": 1,
    "net/ipv4/conf/all/send_redirects": 0,
    "net/ipv4/conf/default/send_redirects": 0,
    # "Fragmentation needed" must not be rationed: tests send many large packets at once.
    "net/ipv4/icmp_ratelimit": 0,
}


class Router:
    """Applies ports to the router namespace. Synchronous; one thread at a time.

    Args:
        node_netns: returns the namespace that a port's ``node`` names.
    """

    def __init__(self, netns: Netns, node_netns: Callable[[str], Netns], options: FabricOptions) -> None:
        self._netns = netns
        self._node_netns = node_netns
        self._options = options
        netns.write_sysctls(ROUTER_SYSCTLS)
        self._route = netns.route_socket()
        self._nft = open_nftables(netns)
        self._nft.run(rules.router_rules() + rules.gateway_rules())
        self._ifindexes: dict[str, int] = {}

    def close(self) -> None:
        self._nft.close()
        self._route.close()

    def add_cidr(self, cidr: IpNetwork) -> None:
        """Make a block part of the VPC: its addresses that nobody holds are unreachable."""
        self._route.execute([messages.replace_route(Route(cidr, kind=RouteKind.UNREACHABLE))])

    def add_local_address(self, address: IPv4Address) -> None:
        """Let the router itself answer for an address: a gateway, metadata, the API endpoint."""
        message = messages.add_address(LOOPBACK, IPv4Interface((address, 32)))
        self._route.execute([message.tolerating(errno.EEXIST)])

    def remove_local_address(self, address: IPv4Address) -> None:
        message = messages.delete_address(LOOPBACK, IPv4Interface((address, 32)))
        self._route.execute([message.tolerating(errno.EADDRNOTAVAIL)])

    def attach(self, port: EniPort) -> None:
        """Create an ENI's link in place in its node: final name and MAC, down, as a hot-plugged device appears."""
        name = rules.link_name(port.eni_id)
        pair = messages.add_veth(
            name,
            peer_name=port.ifname,
            peer_netns_fd=self._node_netns(port.node).fd,
            peer_mac=port.mac,
            mtu_bytes=self._options.mtu_bytes,
        )
        self._route.execute([pair])
        ifindex = self._find(name)
        try:
            self._nft.run(rules.add_port_rules(port))
            self._route.execute(
                [
                    messages.add_altname(ifindex, port.eni_id),
                    # Otherwise each proxied ARP answer waits a random time of up to 0.8 s.
                    messages.set_proxy_delay(ifindex, 0),
                    messages.set_link(ifindex, up=True),
                ]
            )
        except VpcCniError:
            self._route.execute([messages.delete_link(ifindex)])
            raise
        self._ifindexes[port.eni_id] = ifindex

    def announce(self, port: EniPort, networks: Iterable[IpNetwork], *, primary: bool) -> None:
        """Forward networks to a port. Every one leads to the primary address, so one neighbour is enough."""
        ifindex = self._ifindexes[port.eni_id]
        batch: list[Message] = []
        if primary:
            batch += [
                messages.replace_neighbour(Neighbour(ifindex, port.primary_address, port.mac)),
                messages.replace_route(_primary_route(port, ifindex)),
            ]
        batch += [messages.replace_route(route) for route in _secondary_routes(port, networks, ifindex)]
        self._route.execute(batch)

    def withdraw(self, port: EniPort, networks: Iterable[IpNetwork]) -> None:
        """Stop forwarding networks to a port; one that leads elsewhere by now stays."""
        routes = _secondary_routes(port, networks, self._ifindexes[port.eni_id])
        self._route.execute([messages.delete_route(route).tolerating(errno.ESRCH) for route in routes])

    def detach(self, ports: list[EniPort]) -> None:
        """Delete the links of ports, in both namespaces. One kernel barrier for all of them."""
        indexes = [self._ifindexes.pop(port.eni_id) for port in ports]
        regroup = [messages.set_link(index, group=DETACH_GROUP).tolerating(errno.ENODEV) for index in indexes]
        # A link may be gone already: its node's namespace was deleted.
        self._route.execute([*regroup, messages.delete_link_group(DETACH_GROUP).tolerating(errno.ENODEV)])
        for port in ports:
            self._nft.run(rules.remove_port_rules(port))

    def set_policies(self, ports: Iterable[EniPort]) -> None:
        """Replace which primary addresses the internet sees, and as what, and which ENIs may send anything."""
        listed = [port for port in ports if port.forwarding]
        self._nft.run(rules.policy_rules(listed) + rules.gateway_map_rules(listed))

    def set_faults(self, faults: Mapping[str, PortFault], ports: Mapping[str, EniPort]) -> None:
        """Replace all wire faults, by ENI id. A link that comes back up is announced again."""
        self._nft.run(rules.fault_rules({eni_id: fault for eni_id, fault in faults.items() if eni_id in ports}))
        for eni_id, ifindex in self._ifindexes.items():
            up = not faults.get(eni_id, PortFault()).down
            link = self._route.find_link(ifindex=ifindex)
            if link is None or link.is_up == up:
                continue
            self._route.execute([messages.set_link(ifindex, up=up)])
            port = ports.get(eni_id)
            if up and port is not None and port.forwarding:
                # The kernel dropped the link's routes and neighbours when it went down.
                self.announce(port, port.routed, primary=True)

    def counters(self) -> FabricCounters:
        """Return the drops since the ports exist."""
        found = list_counters(self._nft, rules.ROUTER_TABLE)
        spoofed = {eni_id: found.get(rules.counter_name(eni_id), 0) for eni_id in self._ifindexes}
        return FabricCounters(spoofed, found.get(rules.UNMAPPED_COUNTER, 0))

    def connect_internet(self, internet: Netns, near: IPv4Interface, far: IPv4Interface, host: IPv4Address) -> None:
        """Lay the uplink to the internet's namespace, where ``host`` lives, and send everything else there."""
        pair = messages.add_veth(
            rules.UPLINK,
            peer_name="eth0",
            peer_netns_fd=internet.fd,
            mtu_bytes=self._options.internet_mtu_bytes,
        )
        self._route.execute([pair])
        uplink = self._find(rules.UPLINK)
        self._route.execute([messages.add_address(uplink, near), messages.set_link(uplink, up=True)])
        configure_host(internet, "eth0", far, near.ip)
        with internet.route_socket() as route:
            route.execute([messages.add_address(LOOPBACK, IPv4Interface((host, 32)))])
        self._route.execute([messages.replace_route(Route(IPv4Network("0.0.0.0/0"), gateway=far.ip))])

    def _find(self, name: str) -> int:
        return find_ifindex(self._route, name)


def configure_host(netns: Netns, ifname: str, address: IPv4Interface, gateway: IPv4Address) -> None:
    """Give a link its address and the default route, as DHCP does at the start of an instance."""
    with netns.route_socket() as route:
        ifindex = find_ifindex(route, ifname)
        route.execute(
            [
                messages.add_address(ifindex, address).tolerating(errno.EEXIST),
                messages.set_link(ifindex, up=True),
                messages.replace_route(Route(IPv4Network("0.0.0.0/0"), oif=ifindex, gateway=gateway)),
            ]
        )


def find_ifindex(route: RouteSocket, name: str) -> int:
    """Return a link's index.

    Raises:
        LookupError: there is no such link.
    """
    link = route.find_link(name=name)
    if link is None:
        raise LookupError(f"link {name} does not exist")
    return link.ifindex


def _primary_route(port: EniPort, ifindex: int) -> Route:
    return Route(IPv4Network((port.primary_address, 32)), oif=ifindex, scope=Scope.LINK)


def _secondary_routes(port: EniPort, networks: Iterable[IpNetwork], ifindex: int) -> list[Route]:
    """Return IPv4 routes in address order; IPv6 is known to the API and not yet carried by the wires."""
    chosen = sorted(network for network in networks if isinstance(network, IPv4Network))
    return [Route(network, oif=ifindex, gateway=port.primary_address, onlink=True) for network in chosen]
