"""A node and pods as network namespaces, wired by the code under test.

Everything hangs on the ``node`` fixture, since test modules cannot import from each other.
"""

import os
import queue
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from vpc_cni.model import MAIN_TABLE, SandboxKey
from vpc_cni.netlink import messages
from vpc_cni.netlink.identity import derive_mac, ifindex_source
from vpc_cni.netlink.netns import Netns
from vpc_cni.netlink.objects import Link
from vpc_cni.netlink.pod import PodPlane, PodWiring, WiredPod
from vpc_cni.netlink.reaper import Reaper
from vpc_cni.netlink.route_socket import RouteSocket

HERE = Path(__file__).parent
NODE_ADDRESS = IPv4Address("10.0.0.10")


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
    pods: list[Pod] = field(default_factory=list)
    address: IPv4Address = NODE_ADDRESS

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
            server.settimeout(0.3)
            client.settimeout(0.3)
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
        made = Node(netns, host, reaper, PodPlane(host, reaper, ifindex_source([], rng)), gone)
        yield made
        reaper.stop()
        host.close()
        for pod in made.pods:
            pod.close()
