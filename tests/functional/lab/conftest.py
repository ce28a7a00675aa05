"""A small VPC on the fabric alone: pods wired by hand with the rules of the reference, so that each can be left out."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from vpc_cni.lab.check import (
    CheckReport,
    Endpoint,
    LabView,
    NodeView,
    PodView,
    expect_all,
    run_check,
)
from vpc_cni.lab.check.node_ports import open_node_ports
from vpc_cni.lab.fabric import INTERNET_HOST, EniPort, Fabric, FabricOptions
from vpc_cni.lab.fabric.nft import open_nftables
from vpc_cni.lab.nodes import boot
from vpc_cni.lab.wiring import link_name
from vpc_cni.netlink import messages
from vpc_cni.netlink.netns import Netns
from vpc_cni.netlink.objects import Neighbour, Route, Rule
from vpc_cni.netlink.uapi import IFA_F_NOPREFIXROUTE, Scope

VPC = IPv4Network("10.0.0.0/16")
POD_GATEWAY = IPv4Address("169.254.1.1")

# The chains of the node: marks for what must leave by the primary ENI, then SNAT. {primary} is its address.
NODE_RULES = """
table ip node {{
  chain marks {{
    type filter hook prerouting priority -150; policy accept;
    {node_port_mark}
    iifname "eni*" ct mark & 0x80 == 0x80 meta mark set meta mark | 0x80
  }}
  chain outbound {{
    type filter hook prerouting priority -90; policy accept;
    {outbound_mark}
    iifname "eni*" ct mark & 0x80 == 0x80 meta mark set meta mark | 0x80
  }}
  chain masq {{
    type nat hook postrouting priority 100; policy accept;
    {snat}
  }}
}}
"""
NODE_PORT_MARK = 'iifname "ens5" fib daddr . iif type local ct mark set ct mark | 0x80'
OUTBOUND_MARK = (
    'iifname "eni*" ct state new ct direction original fib daddr type != local ip daddr != 10.0.0.0/16 '
    "ct mark set ct mark | 0x80"
)


@dataclass(frozen=True)
class Omit:
    """What is broken on purpose on every node."""

    rule_512: bool = False
    rule_1024: bool = False
    rule_1536: bool = False
    snat: bool = False
    outbound_mark: bool = False
    node_port_mark: bool = False
    eni_table: bool = False
    loose_rp_filter: bool = False


@dataclass
class HandNode:
    """A node with one primary and one secondary ENI, and pods named after their addresses."""

    name: str
    netns: Netns
    ports: list[EniPort]
    public_address: IPv4Address
    pods: dict[str, tuple[Netns, IPv4Address, int]] = field(default_factory=dict)


class HandVpc:
    """Two nodes on a fabric. `check` asks the rows of `lab check`."""

    def __init__(self, omit: Omit, options: FabricOptions) -> None:
        self.omit = omit
        self.router, self.internet = Netns.create(lo_up=True), Netns.create(lo_up=True)
        self.spaces: dict[str, Netns] = {"internet": self.internet}
        self.nodes: list[HandNode] = []
        self.fabric = Fabric(self.router, self.internet, lambda name: self.spaces[name], options)

    async def start(self) -> None:
        self.fabric.start()
        await self.fabric.add_cidr(VPC)
        for number in (1, 2):
            await self.add_node(number)

    async def add_node(self, number: int) -> None:
        name = f"node-{number}"
        netns = self.spaces[name] = Netns.create(lo_up=True)
        gateway = IPv4Address(f"10.0.{number}.1")
        await self.fabric.add_gateway(gateway)
        node = HandNode(name, netns, [], IPv4Address(f"198.18.0.{number}"))
        self.nodes.append(node)
        boot.apply_instance_defaults(netns)
        for device in (0, 1):
            port = EniPort(
                eni_id=f"eni-0aaaaaaaaaaaaaa{number}{device}",
                node=name,
                ifname=link_name(0, device),
                mac=f"0a:00:00:00:0{number}:0{device}",
                primary_address=IPv4Address(f"10.0.{number}.{10 + 100 * device}"),
                gateway=gateway,
                routed=frozenset(IPv4Network(f"10.0.{number}.{10 + 100 * device + i}/32") for i in range(1, 4)),
                public_address=node.public_address if device == 0 else None,
            )
            node.ports.append(port)
            self.fabric.put_port(port)
        await self.fabric.wait_for(lambda ports: all(port.eni_id in ports for port in node.ports))
        self._configure(node)
        for device in (0, 1):
            for each in (1, 2):
                self.add_pod(node, IPv4Address(f"10.0.{number}.{10 + 100 * device + each}"), device)

    def _configure(self, node: HandNode) -> None:
        primary, secondary = node.ports
        boot.run_dhcp(node.netns, primary.ifname, IPv4Interface(f"{primary.primary_address}/24"), primary.gateway)
        if self.omit.loose_rp_filter:
            node.netns.write_sysctls({"net/ipv4/ip_forward": 1})
        else:
            boot.run_init_step(node.netns, primary.ifname)
        with node.netns.route_socket() as route:
            link = route.find_link(name=secondary.ifname)
            assert link is not None
            address = IPv4Interface(f"{secondary.primary_address}/24")
            table = [
                Route(IPv4Network((secondary.gateway, 32)), table=2, oif=link.ifindex, scope=Scope.LINK),
                Route(IPv4Network("0.0.0.0/0"), table=2, oif=link.ifindex, gateway=secondary.gateway),
            ]
            route.execute(
                [
                    messages.set_link(link.ifindex, up=True),
                    messages.add_address(link.ifindex, address, flags=IFA_F_NOPREFIXROUTE),
                    *([] if self.omit.eni_table else map(messages.replace_route, table)),
                    *([] if self.omit.rule_1024 else [messages.add_rule(Rule(1024, fwmark=0x80, fwmask=0x80))]),
                ]
            )
        session = open_nftables(node.netns)
        session.run(self._node_rules(primary))
        session.close()

    def _node_rules(self, primary: EniPort) -> str:
        snat = f"ip daddr != 10.0.0.0/16 fib daddr type != local snat to {primary.primary_address} fully-random"
        return NODE_RULES.format(
            node_port_mark="" if self.omit.node_port_mark else NODE_PORT_MARK,
            outbound_mark="" if self.omit.outbound_mark else OUTBOUND_MARK,
            snat="" if self.omit.snat else snat,
        )

    def add_pod(self, node: HandNode, address: IPv4Address, device: int) -> str:
        """Wire a pod as the reference does: veth, /32 both ways, permanent neighbour, rules 512 and 1536."""
        name = f"pod-{address}"
        pod = self.spaces[name] = Netns.create(lo_up=True)
        node.pods[name] = (pod, address, device)
        host_name, host_network = f"eni{int(address):x}", IPv4Network((address, 32))
        with node.netns.route_socket() as host, pod.route_socket() as inside:
            host.execute([messages.add_veth(host_name, peer_name="eth0", peer_netns_fd=pod.fd, mtu_bytes=9001)])
            outer, inner = host.find_link(name=host_name), inside.find_link(name="eth0")
            assert outer is not None
            assert inner is not None
            rules = []
            if not self.omit.rule_512:
                rules.append(Rule(512, destination=host_network))
            if device and not self.omit.rule_1536:
                rules.append(Rule(1536, table=device + 1, source=host_network))
            host.execute(
                [
                    messages.set_link(outer.ifindex, up=True),
                    messages.add_route(Route(host_network, oif=outer.ifindex, scope=Scope.LINK)),
                    *map(messages.add_rule, rules),
                ]
            )
            inside.execute(
                [
                    messages.set_link(inner.ifindex, up=True),
                    messages.add_address(inner.ifindex, IPv4Interface(host_network)),
                    messages.add_route(Route(IPv4Network((POD_GATEWAY, 32)), oif=inner.ifindex, scope=Scope.LINK)),
                    messages.add_route(Route(IPv4Network("0.0.0.0/0"), oif=inner.ifindex, gateway=POD_GATEWAY)),
                    messages.add_neighbour(Neighbour(inner.ifindex, POD_GATEWAY, outer.mac)),
                ]
            )
        return name

    def view(self) -> LabView:
        return LabView(
            nodes=tuple(
                NodeView(Endpoint(node.name, node.name, node.ports[0].primary_address), node.public_address)
                for node in self.nodes
            ),
            pods=tuple(
                PodView(Endpoint(name, name, address), node.name, device > 0)
                for node in self.nodes
                for name, (_, address, device) in node.pods.items()
            ),
            internet=Endpoint("internet", "internet", INTERNET_HOST),
        )

    async def open_socket(self, name: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
        opened = self.spaces[name].socket(family, kind, protocol)
        opened.setblocking(False)
        return opened

    async def check(self, timeout_seconds: float = 1.5) -> CheckReport:
        return await run_check(
            expect_all(self.view()),
            self.open_socket,
            lambda name, ports: open_node_ports(self.spaces[name], ports),
            timeout_seconds=timeout_seconds,
        )

    async def close(self) -> None:
        await self.fabric.stop()
        for netns in (self.router, *self.spaces.values()):
            netns.close()


OpenVpc = Callable[..., "asyncio.Future[HandVpc]"]


@asynccontextmanager
async def hand_vpc(omit: Omit = Omit(), options: FabricOptions | None = None) -> AsyncIterator[HandVpc]:
    vpc = HandVpc(omit, options or FabricOptions())
    try:
        await vpc.start()
        yield vpc
    finally:
        await vpc.close()


@pytest.fixture
def open_vpc() -> Callable[..., object]:
    """Return the context manager that opens a VPC: ``async with open_vpc(rule_512=True) as vpc``."""

    def open_one(options: FabricOptions | None = None, **omitted: bool) -> object:
        return hand_vpc(Omit(**omitted), options)

    return open_one


def failed_titles(report: CheckReport) -> Sequence[str]:
    return sorted({row.row.title for row in report.rows if not row.passed})
