"""The nftables table under real traffic, alone and beside Debian's iptables."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

import pytest

from vpc_cni.errors import KernelError
from vpc_cni.netlink.nat import NatPlan, RandomPorts
from vpc_cni.netlink.nftables import NatTable, Nftables

if TYPE_CHECKING:
    from tests.functional.netlink.conftest import Pod, Vpc

PLAN = NatPlan("ens5", IPv4Address("10.0.0.10"), (IPv4Network("10.0.0.0/16"),))
PRIMARY = IPv4Address("10.0.0.10")
PROGRAMS = ("iptables-nft", "iptables-legacy")


@dataclass
class Scene:
    """A complete node: both ENIs set up, a pod on each, and its table."""

    vpc: "Vpc"
    table: NatTable
    nft: Nftables
    on_primary: "Pod"
    on_secondary: "Pod"

    def apply(self, plan: NatPlan) -> None:
        """Do what the agent does with a plan."""
        self.table.apply(plan)
        self.vpc.node.own.ensure_mark_rule(plan.mark, wanted=plan.needs_mark_rule)


@pytest.fixture
def scene(vpc: "Vpc") -> Iterator[Scene]:
    node = vpc.node
    primary, secondary = node.link("ens5"), node.link("ens6")
    assert primary is not None
    assert secondary is not None
    node.own.set_up_primary(primary, 1500)
    node.own.set_up_eni(vpc.secondary, secondary, 1500)
    one, other = node.new_pod(), node.new_pod()
    node.wire(replace(node.wiring(1), mtu_bytes=1500), one)
    moved = replace(node.wiring(2, route_table=2), address=IPv4Address("10.0.2.2"), mtu_bytes=1500)
    node.wire(moved, other)
    nft = node.netns.run(Nftables)
    made = Scene(vpc, NatTable(nft), nft, one, other)
    made.apply(PLAN)
    yield made
    nft.close()


def test_the_outside_sees_the_primary_address_only(scene: Scene) -> None:
    vpc = scene.vpc
    assert vpc.source_seen(scene.on_primary.netns, vpc.internet) == PRIMARY
    assert vpc.source_seen(scene.on_secondary.netns, vpc.internet) == PRIMARY


def test_the_vpc_sees_pod_addresses(scene: Scene) -> None:
    vpc = scene.vpc
    assert vpc.source_seen(scene.on_primary.netns, vpc.in_vpc) == IPv4Address("10.0.1.1")
    assert vpc.source_seen(scene.on_secondary.netns, vpc.in_vpc) == IPv4Address("10.0.2.2")


def test_excluded_networks_see_pod_addresses(scene: Scene) -> None:
    vpc = scene.vpc
    assert vpc.source_seen(scene.on_secondary.netns, vpc.peered) == PRIMARY
    scene.apply(replace(PLAN, excluded_cidrs=(IPv4Network("192.168.0.0/16"), IPv4Network("192.168.7.0/24"))))
    assert vpc.source_seen(scene.on_secondary.netns, vpc.peered) == IPv4Address("10.0.2.2")
    assert vpc.source_seen(scene.on_secondary.netns, vpc.internet) == PRIMARY
    scene.apply(replace(PLAN, excluded_cidrs=(IPv4Network("0.0.0.0/0"),)))
    assert vpc.source_seen(scene.on_secondary.netns, vpc.internet) == IPv4Address("10.0.2.2")


def test_external_snat_leaves_addresses_alone(scene: Scene) -> None:
    vpc = scene.vpc
    scene.apply(replace(PLAN, external_snat=True))
    assert vpc.source_seen(scene.on_primary.netns, vpc.internet) == IPv4Address("10.0.1.1")
    assert vpc.source_seen(scene.on_secondary.netns, vpc.internet) == IPv4Address("10.0.2.2")
    scene.apply(replace(PLAN, external_snat=True, node_port_support=False))
    assert scene.nft.table_text() == ""


@pytest.mark.parametrize("ports", RandomPorts)
def test_every_way_to_choose_ports_translates(scene: Scene, ports: RandomPorts) -> None:
    scene.apply(replace(PLAN, random_ports=ports))
    assert scene.vpc.source_seen(scene.on_secondary.netns, scene.vpc.internet) == PRIMARY


def test_pods_and_their_node_reach_each_other(scene: Scene) -> None:
    node = scene.vpc.node
    assert node.talks(scene.on_secondary.netns, node.netns, PRIMARY)
    assert node.talks(node.netns, scene.on_secondary.netns, IPv4Address("10.0.2.2"))
    assert node.talks(scene.on_primary.netns, scene.on_secondary.netns, IPv4Address("10.0.2.2"))
    assert node.talks(scene.on_secondary.netns, scene.on_primary.netns, IPv4Address("10.0.1.1"))
    assert node.talks(scene.vpc.outside, scene.on_secondary.netns, IPv4Address("10.0.2.2"))


def forward_node_port(scene: Scene, program: str) -> None:
    """Map node port 30080 and Service address 172.20.0.1 as kube-proxy does, to the pod on the secondary ENI."""
    environment = {**os.environ, "XTABLES_LOCKFILE": "/dev/null"}
    for match, target in (
        (["-d", "10.0.0.10", "-p", "tcp", "--dport", "30080"], "10.0.2.2:80"),
        (["-d", "172.20.0.1", "-p", "udp"], "203.0.113.7"),
    ):
        rule = ["-t", "nat", "-A", "PREROUTING", *match, "-j", "DNAT", "--to-destination", target]
        scene.vpc.node.netns.check_output([program, *rule], env=environment)


def node_port_answers(scene: Scene) -> bool:
    with (
        scene.on_secondary.netns.socket(socket.AF_INET, socket.SOCK_STREAM) as server,
        scene.vpc.outside.socket(socket.AF_INET, socket.SOCK_STREAM) as client,
    ):
        server.bind(("0.0.0.0", 80))
        server.listen()
        client.bind((str(scene.vpc.internet), 0))
        client.settimeout(0.5)
        try:
            client.connect((str(PRIMARY), 30080))
        except OSError:
            return False
        return True


@pytest.mark.parametrize("program", PROGRAMS)
def test_node_port_replies_leave_by_the_primary_eni(scene: Scene, program: str) -> None:
    forward_node_port(scene, program)
    assert node_port_answers(scene)
    scene.apply(replace(PLAN, node_port_support=False, external_snat=True))
    assert not node_port_answers(scene)  # the reply took the secondary ENI: the test can fail


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_service_whose_endpoint_is_outside_is_reached(scene: Scene, program: str) -> None:
    """The mark must be set after destination NAT, and not in a nat chain."""
    forward_node_port(scene, program)
    vpc = scene.vpc
    with (
        vpc.outside.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        scene.on_secondary.netns.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind((str(vpc.internet), 0))
        server.settimeout(1)
        client.settimeout(1)
        client.sendto(b"ping", ("172.20.0.1", server.getsockname()[1]))
        _data, peer = server.recvfrom(16)
        assert peer[0] == str(PRIMARY)
        server.sendto(b"pong", peer)
        assert client.recvfrom(16)[1][0] == "172.20.0.1"


@pytest.mark.parametrize("program", PROGRAMS)
def test_marks_of_others_survive(scene: Scene, program: str) -> None:
    """A pod's packet keeps kube-proxy's 0x4000 while it gets 0x80."""
    node = scene.vpc.node
    rule = ["-t", "mangle", "-I", "PREROUTING", "-i", "eni+", "-j", "MARK", "--or-mark", "0x4000"]
    count = ["-t", "mangle", "-A", "POSTROUTING", "-m", "mark", "--mark", "0x4080/0x4080", "-p", "udp"]
    for arguments in (rule, count):
        node.netns.check_output([program, *arguments])
    assert scene.vpc.source_seen(scene.on_secondary.netns, scene.vpc.internet) == PRIMARY
    listing = node.netns.check_output([program, "-t", "mangle", "-L", "POSTROUTING", "-v", "-x", "-n"]).decode()
    counted = next(line.split()[0] for line in listing.splitlines() if "0x4080" in line)
    assert int(counted) >= 1


def test_other_tables_are_left_alone(scene: Scene) -> None:
    scene.nft.run("add table ip kube-proxy; add chain ip kube-proxy services")
    scene.apply(replace(PLAN, excluded_cidrs=(IPv4Network("192.168.0.0/16"),)))
    scene.table.remove()
    assert "chain services" in scene.nft.run("list table ip kube-proxy")
    assert scene.nft.table_text() == ""
    scene.table.remove()


BREAKS = {
    "table": "delete table ip vpc-cni",
    "chain": "flush chain ip vpc-cni source_nat",
    "element": "delete element ip vpc-cni untranslated { 10.0.0.0/16 }",
    "added rule": "insert rule ip vpc-cni source_nat accept",
    "everything": "flush ruleset",
}


@pytest.mark.parametrize("commands", BREAKS.values(), ids=BREAKS.keys())
def test_a_change_by_hand_is_noticed_and_undone(scene: Scene, commands: str) -> None:
    before = scene.nft.table_text()
    assert not scene.table.repair()
    scene.nft.run(commands)
    assert not scene.table.is_as_applied()
    assert scene.table.repair()
    assert scene.nft.table_text() == before
    assert scene.vpc.source_seen(scene.on_secondary.netns, scene.vpc.internet) == PRIMARY


def test_a_refused_transaction_changes_nothing(scene: Scene) -> None:
    before = scene.nft.table_text()
    with pytest.raises(KernelError, match="nftables refused a transaction: Error"):
        scene.nft.run("delete table ip vpc-cni; add rule ip nowhere nothing accept")
    assert scene.nft.table_text() == before
