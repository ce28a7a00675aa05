"""CNI CHECK: compares a pod's network in the kernel with what ADD made. Reads only."""

from collections.abc import Iterator
from ipaddress import IPv4Interface

from vpc_cni.netlink.messages import describe_rule
from vpc_cni.netlink.objects import ANY_IPV4, Link, Neighbour, Route
from vpc_cni.netlink.route_socket import RouteSocket
from vpc_cni.netlink.uapi import Scope
from vpc_cni.netlink.wiring import GATEWAY, GATEWAY_NETWORK, PodWiring, pod_rules


def check_pod(wiring: PodWiring, *, host: RouteSocket, pod: RouteSocket) -> list[str]:
    """Return what differs, in words for people; empty when the network is as it shall be.

    Args:
        host: a socket in the host's namespace.
        pod: a socket opened inside the pod's namespace.
    """
    return [*_check_host(wiring, host), *_check_container(wiring, host, pod)]


def _check_host(wiring: PodWiring, host: RouteSocket) -> Iterator[str]:
    link = host.find_link(name=wiring.host_ifname)
    if link is None:
        yield f"host link {wiring.host_ifname} is missing"
        return
    if link.alias != wiring.key.alias:
        yield f'host link {link.name} belongs to sandbox "{link.alias}"'
    yield from _check_link(link, wiring)
    route = Route(wiring.network, oif=link.ifindex, scope=Scope.LINK)
    if route.path not in [present.path for present in host.list_routes(table=route.table)]:
        yield f"host route {wiring.network} to link {link.name} is missing"
    present = host.list_rules()
    for rule in pod_rules(wiring.address, wiring.route_table):
        if rule not in present:
            yield f"{describe_rule(rule)} is missing"


def _check_link(link: Link, wiring: PodWiring) -> Iterator[str]:
    if not link.is_up:
        yield f"link {link.name} is down"
    if link.mtu_bytes != wiring.mtu_bytes:
        yield f"link {link.name} has MTU {link.mtu_bytes}, not {wiring.mtu_bytes}"


def _check_container(wiring: PodWiring, host: RouteSocket, pod: RouteSocket) -> Iterator[str]:
    link = pod.find_link(name=wiring.container_ifname)
    if link is None:
        yield f"pod interface {wiring.container_ifname} is missing"
        return
    yield from _check_link(link, wiring)
    address = IPv4Interface(wiring.network.with_prefixlen)
    if not any(a.ifindex == link.ifindex and a.interface == address for a in pod.list_addresses()):
        yield f"pod interface {link.name} lacks address {wiring.address}"
    present = [route.path for route in pod.list_routes()]
    for route in (
        Route(GATEWAY_NETWORK, oif=link.ifindex, scope=Scope.LINK),
        Route(ANY_IPV4, oif=link.ifindex, gateway=GATEWAY),
    ):
        if route.path not in present:
            yield f"pod route {route.destination} is missing"
    host_end = host.find_link(name=wiring.host_ifname)
    if host_end is not None and Neighbour(link.ifindex, GATEWAY, host_end.mac) not in pod.list_neighbours():
        yield f"pod neighbour {GATEWAY} with hardware address {host_end.mac} is missing"
