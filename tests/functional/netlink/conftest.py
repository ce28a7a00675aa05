"""A node and pods as network namespaces, wired by the code under test.

Everything hangs on the ``node`` fixture, since test modules cannot import from each other.
"""

import os
import queue
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from vpc_cni.model import MAIN_TABLE, Eni, SandboxKey
from vpc_cni.netlink import messages
from vpc_cni.netlink.desired import DesiredState
from vpc_cni.netlink.host import NodePlane
from vpc_cni.netlink.identity import derive_mac, ifindex_source
from vpc_cni.netlink.netns import Netns
from vpc_cni.netlink.objects import ANY_IPV4, Link, Neighbour, Route
from vpc_cni.netlink.pod import PodPlane, PodWiring, WiredPod
from vpc_cni.netlink.reaper import Reaper
from vpc_cni.netlink.route_socket import RouteSocket
from vpc_cni.netlink.uapi import Scope

HERE = Path(__file__).parent
NODE_ADDRESS = IPv4Address("10.0.0.10")
INTERNET = IPv4Address("203.0.113.7")
PEERED = IPv4Address("192.168.7.7")
IN_VPC = IPv4Address("10.0.5.5")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.skip(reason="needs root to make network namespaces"))


@dataclass
class Pod:
    """A pod's namespace with the socket that a plugin would pass."""

    netns: Netns = field(default_factory=Netns.create)

    def __post_init__(self) -> None:
        self.sock = self.netns.route_socket()

    def close(self) -> None:
        """Let the namespace end, as a runtime does after DEL."""
        self.sock.close()
        self.netns.close()


@dataclass
class Node:
    """A node's namespace with a running plane and reaper. ``gone`` receives what the reaper reports."""

    netns: Netns
    host: RouteSocket
    reaper: Reaper
    plane: PodPlane
    gone: "queue.Queue[int]"
    desired: DesiredState
    pods: list[Pod] = field(default_factory=list)
    address: IPv4Address = NODE_ADDRESS

    @property
    def own(self) -> NodePlane:
        """What sets up the node itself."""
        return NodePlane(self.host, self.desired)

    def new_pod(self) -> Pod:
        self.pods.append(Pod())
        return self.pods[-1]

    def wire(self, wiring: PodWiring, pod: Pod) -> WiredPod:
        return self.plane.wire(wiring, pod=pod.sock, netns_fd=pod.netns.fd)

    def link(self, name: str) -> Link | None:
        return self.host.find_link(name=name)

    def wait_gone(self, count: int = 1) -> set[int]:
        return {self.gone.get(timeout=5) for _ in range(count)}

    @staticmethod
    def wiring(
        number: int, *, container_id: str = "", host_ifname: str = "", route_table: int = MAIN_TABLE
    ) -> PodWiring:
        """Return the wiring of the pod with this number: address 10.0.1.NUMBER, link name eni…NUMBER."""
        key = SandboxKey("aws-cni", container_id or f"c{number}", "eth0")
        return PodWiring(
            key=key,
            address=IPv4Address("10.0.1.0") + number,
            host_ifname=host_ifname or f"eni{number:011x}",
            container_ifname="eth0",
            host_mac=derive_mac(key, "host"),
            container_mac=derive_mac(key, "container"),
            mtu_bytes=9001,
            route_table=route_table,
        )

    @staticmethod
    def talks(source: Netns, target: Netns, address: IPv4Address) -> bool:
        """Whether a datagram from ``source`` reaches ``address`` in ``target`` and its answer comes back."""
        with (
            target.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
            source.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        ):
            server.bind(("0.0.0.0", 0))
            server.settimeout(2)
            client.settimeout(2)
            try:
                client.sendto(b"ping", (str(address), server.getsockname()[1]))
                _data, peer = server.recvfrom(16)
                server.sendto(b"pong", peer)
                return client.recv(16) == b"pong"
            except OSError:
                return False


@pytest.fixture
def node() -> Iterator[Node]:
    with Netns.create(lo_up=True) as netns:
        netns.write_sysctls({"net/ipv4/ip_forward": 1})
        host = netns.route_socket()
        host.execute([messages.add_address(1, IPv4Interface(NODE_ADDRESS))])
        gone: queue.Queue[int] = queue.Queue()
        rng = random.Random(1)  # noqa: S311 - reproducible, no secret

        def report(found: list[int]) -> None:
            for ifindex in found:
                gone.put(ifindex)

        reaper = Reaper(netns.route_socket(), report, rng=rng)
        reaper.start()
        desired = DesiredState()
        made = Node(netns, host, reaper, PodPlane(host, reaper, ifindex_source([], rng), desired), gone, desired)
        yield made
        reaper.stop()
        host.close()
        for pod in made.pods:
            pod.close()


@dataclass
class Vpc:
    """A node with two ENIs beside a namespace that is gateway, VPC and internet at once.

    The outside forwards and accepts strictly: what leaves a node by the wrong ENI is dropped there.
    """

    node: Node
    outside: Netns
    secondary: Eni = field(
        default_factory=lambda: Eni(
            "eni-2",
            "02:00:00:00:06:01",
            1,
            "subnet-1",
            IPv4Network("10.0.0.0/24"),
            IPv4Address("10.0.0.20"),
        )
    )
    internet: IPv4Address = INTERNET
    peered: IPv4Address = PEERED
    in_vpc: IPv4Address = IN_VPC

    def source_seen(self, source: Netns, target: IPv4Address) -> IPv4Address | None:
        """Return the source address of a datagram from ``source`` as ``target`` sees it, None when it is lost.

        The answer must come back too.
        """
        with (
            self.outside.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
            source.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        ):
            server.bind((str(target), 0))
            server.settimeout(2)
            client.settimeout(2)
            try:
                client.sendto(b"ping", server.getsockname())
                _data, peer = server.recvfrom(16)
                server.sendto(b"pong", peer)
                client.recv(16)
            except OSError:
                return None
            return IPv4Address(peer[0])


def _host(address: IPv4Address | str) -> IPv4Network:
    return IPv4Network(address)


@pytest.fixture
def vpc(node: Node) -> Iterator[Vpc]:
    with Netns.create(lo_up=True) as outside:
        made = Vpc(node, outside)
        outside.write_sysctls(
            {
                "net/ipv4/ip_forward": 1,
                "net/ipv4/conf/all/rp_filter": 1,
                "net/ipv4/conf/default/rp_filter": 1,
                "net/ipv4/conf/default/proxy_arp": 1,
            }
        )
        node.netns.write_sysctls({"net/ipv4/conf/all/rp_filter": 1, "net/ipv4/conf/default/rp_filter": 1})
        with outside.route_socket() as router:
            _connect(router, node, made)
        yield made


def _connect(router: RouteSocket, node: Node, vpc: Vpc) -> None:
    """Attach both ENIs; pods 10.0.1.0/24 live on the primary, 10.0.2.0/24 on the secondary one."""
    primary, secondary = "02:00:00:00:05:01", vpc.secondary.mac
    local = ["10.0.0.1", str(vpc.internet), str(vpc.peered), str(vpc.in_vpc)]
    router.execute(
        [
            *(messages.add_address(1, IPv4Interface(address)) for address in local),
            messages.add_veth("e5", peer_name="ens5", peer_netns_fd=node.netns.fd, peer_mac=primary, ifindex=5),
            messages.add_veth("e6", peer_name="ens6", peer_netns_fd=node.netns.fd, peer_mac=secondary, ifindex=6),
            *(messages.set_link(index, up=True) for index in (5, 6)),
            *(messages.set_proxy_delay(index, 0) for index in (5, 6)),
            # As in a VPC: the gateway knows its ENIs and does not ask.
            messages.add_neighbour(Neighbour(5, IPv4Address("10.0.0.10"), primary)),
            messages.add_neighbour(Neighbour(6, IPv4Address("10.0.0.20"), secondary)),
            messages.add_route(Route(_host("10.0.0.10"), oif=5, scope=Scope.LINK)),
            messages.add_route(Route(_host("10.0.0.20"), oif=6, scope=Scope.LINK)),
            messages.add_route(Route(IPv4Network("10.0.1.0/24"), oif=5, gateway=IPv4Address("10.0.0.10"), onlink=True)),
            messages.add_route(Route(IPv4Network("10.0.2.0/24"), oif=6, gateway=IPv4Address("10.0.0.20"), onlink=True)),
        ]
    )
    link = node.link("ens5")
    assert link is not None
    node.host.execute(
        [
            messages.delete_address(1, IPv4Interface(NODE_ADDRESS)),
            messages.set_link(link.ifindex, up=True),
            messages.add_address(link.ifindex, IPv4Interface("10.0.0.10/24")),
            messages.add_route(Route(ANY_IPV4, oif=link.ifindex, gateway=IPv4Address("10.0.0.1"))),
        ]
    )
