"""Whatever is removed or changed by hand is back within a second; our own changes are not taken for drift."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vpc_cni.netlink import messages, uapi
from vpc_cni.netlink.drift import DriftMonitor, DriftSources, Repair
from vpc_cni.netlink.events import EventSocket
from vpc_cni.netlink.nat import NatPlan
from vpc_cni.netlink.nftables import NatTable, Nftables
from vpc_cni.netlink.objects import ANY_IPV4, Neighbour, Route, Rule
from vpc_cni.netlink.uapi import Scope
from vpc_cni.netlink.wiring import PodWiring, WiredPod

if TYPE_CHECKING:
    from tests.functional.netlink.conftest import Vpc

PLAN = NatPlan("ens5", IPv4Address("10.0.0.10"), (IPv4Network("10.0.0.0/16"),))
POD = IPv4Address("10.0.2.2")
KERNEL_RULES = 32766  # made by the kernel, and nobody's to restore


@dataclass
class Watched:
    """A complete node with a pod on its secondary ENI, and a monitor that reads only when told to."""

    vpc: "Vpc"
    monitor: DriftMonitor
    nft: Nftables
    table: NatTable
    wiring: PodWiring
    wired: WiredPod
    repairs: list[Repair] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)

    def ifindex(self, name: str) -> int:
        link = self.vpc.node.link(name)
        assert link is not None
        return link.ifindex

    def state(self) -> dict[str, object]:
        """Everything that repair is responsible for, as the kernel has it."""
        host, node = self.vpc.node.host, self.vpc.node.netns
        known = self.vpc.node.desired.settings
        return {
            "rules": [rule for rule in host.list_rules() if rule.priority < KERNEL_RULES],
            "routes": {table: [route.path for route in host.list_routes(table=table)] for table in (254, 2)},
            "neighbours": {e for e in host.list_neighbours() if e.state == uapi.NeighbourState.PERMANENT},
            "settings": {c for c in host.list_netconf() if c.ifindex in known},
            "ip_forward": node.read_sysctl("net/ipv4/ip_forward"),
            "up": {link.ifindex for link in host.list_links() if link.is_up},
            "nft": self.nft.table_text(),
        }

    def step(self) -> list[Repair]:
        """Take events on a thread of the node's namespace, where /proc/sys is the node's."""
        return self.vpc.node.netns.run(self.monitor.step)


@contextmanager
def watch(vpc: "Vpc", proc_sys: Path = Path("/proc/sys")) -> Iterator[Watched]:
    """Set a whole node up and watch it."""
    node = vpc.node
    primary, secondary = node.link("ens5"), node.link("ens6")
    assert primary is not None
    assert secondary is not None
    nft = node.netns.run(Nftables)
    table = NatTable(nft)
    sources = DriftSources(
        node.netns.run(EventSocket.open),
        node.netns.run(EventSocket.open, [uapi.NFNLGRP_NFTABLES], protocol=uapi.NETLINK_NETFILTER),
    )
    repairs: list[Repair] = []
    gone: list[int] = []
    monitor = DriftMonitor(
        host=node.host,
        desired=node.desired,
        sources=sources,
        nat=table,
        on_repair=repairs.append,
        on_link_gone=gone.append,
        proc_sys=proc_sys,
    )
    node.own.set_up_primary(primary, 1500)
    node.own.set_up_eni(vpc.secondary, secondary, 1500)
    node.own.ensure_mark_rule(PLAN.mark, wanted=True)
    node.own.ensure_external_services([IPv4Network("198.51.100.0/24")])
    table.apply(PLAN)
    wiring = replace(node.wiring(2, route_table=2), address=POD, mtu_bytes=1500)
    wired = node.wire(wiring, node.new_pod())
    yield Watched(vpc, monitor, nft, table, wiring, wired, repairs, gone)
    monitor.close()
    nft.close()


@pytest.fixture
def watched(vpc: "Vpc") -> Iterator[Watched]:
    with watch(vpc) as made:
        yield made


def execute(watched: Watched, *requests: messages.Message) -> None:
    watched.vpc.node.host.execute(requests)


def replace_pod_route(w: Watched) -> None:
    execute(w, messages.replace_route(Route(IPv4Network(POD), oif=w.ifindex("ens5"), scope=Scope.LINK)))


def replace_pod_neighbour(w: Watched) -> None:
    execute(w, messages.replace_neighbour(Neighbour(w.wired.ifindex, POD, "02:00:00:00:00:77")))


def write(w: Watched, name: str, value: int) -> None:
    w.vpc.node.netns.write_sysctls({f"net/ipv4/{name}": value})


BREAKS: dict[str, tuple[Callable[[Watched], object], str]] = {
    "rule to pod": (lambda w: execute(w, messages.delete_rule(Rule(512, destination=IPv4Network(POD)))), "rule"),
    "rule from pod": (lambda w: execute(w, messages.delete_rule(Rule(1536, 2, source=IPv4Network(POD)))), "rule"),
    "rule for marks": (lambda w: execute(w, messages.delete_rule(Rule(1024, fwmark=0x80, fwmask=0x80))), "rule"),
    "rule for a service": (
        lambda w: execute(w, messages.delete_rule(Rule(1535, destination=IPv4Network("198.51.100.0/24")))),
        "rule",
    ),
    "all rules": (lambda w: w.vpc.node.netns.check_output(["ip", "rule", "flush"]), "rule"),
    "route to pod": (
        lambda w: execute(w, messages.delete_route(Route(IPv4Network(POD), oif=w.wired.ifindex, scope=Scope.LINK))),
        "route",
    ),
    "route to pod replaced": (replace_pod_route, "route"),
    "default route of an ENI": (lambda w: execute(w, messages.delete_route(Route(ANY_IPV4, 2))), "route"),
    "table of an ENI": (lambda w: w.vpc.node.netns.check_output(["ip", "route", "flush", "table", "2"]), "route"),
    "neighbour": (lambda w: execute(w, messages.delete_neighbour(Neighbour(w.wired.ifindex, POD))), "neighbour"),
    "neighbour replaced": (replace_pod_neighbour, "neighbour"),
    "pod link down": (lambda w: execute(w, messages.set_link(w.wired.ifindex, up=False)), "link"),
    "pod link down and up": (
        lambda w: execute(w, messages.set_link(w.wired.ifindex, up=False), messages.set_link(w.wired.ifindex, up=True)),
        "route",
    ),
    "ENI down": (lambda w: execute(w, messages.set_link(w.ifindex("ens6"), up=False)), "link"),
    "rp_filter": (lambda w: write(w, "conf/ens5/rp_filter", 1), "sysctl"),
    "forwarding of a link": (lambda w: write(w, "conf/ens6/forwarding", 0), "sysctl"),
    "ip_forward": (lambda w: write(w, "ip_forward", 0), "sysctl"),
    "nftables table": (lambda w: w.nft.run("delete table ip vpc-cni"), "nftables"),
    "nftables rule": (lambda w: w.nft.run("flush chain ip vpc-cni mark_outbound"), "nftables"),
    "nftables ruleset": (lambda w: w.nft.run("flush ruleset"), "nftables"),
}


@pytest.mark.parametrize(("break_it", "kind"), BREAKS.values(), ids=BREAKS.keys())
def test_what_is_broken_by_hand_is_repaired(watched: Watched, break_it: Callable[[Watched], object], kind: str) -> None:
    watched.step()
    before = watched.state()
    watched.repairs.clear()
    break_it(watched)
    assert watched.state() != before  # the break is real
    done = watched.step()
    after = watched.state()
    assert {name for name in after if after[name] != before[name]} == set()
    assert kind in {repair.kind for repair in done}
    assert watched.repairs == done
    assert watched.step() == []  # repairs are not drift


def test_own_changes_are_not_drift(watched: Watched) -> None:
    node = watched.vpc.node
    watched.step()
    watched.repairs.clear()
    for number in range(3, 23):
        wiring = node.wiring(number, route_table=2)
        wired = node.wire(wiring, node.new_pod())
        node.plane.unwire(wiring.key, wiring.address, wired.ifindex)
        node.wire(replace(node.wiring(number + 100, route_table=2), address=wiring.address), node.new_pod())
    node.wait_gone(20)
    node.own.ensure_external_services([IPv4Network("192.0.2.0/24")])
    watched.table.apply(replace(PLAN, excluded_cidrs=(IPv4Network("192.0.2.0/24"),)))
    assert watched.step() == []
    assert watched.monitor.resync() == []
    assert watched.gone == []


def test_a_pod_link_that_vanishes_is_reported_and_forgotten(watched: Watched) -> None:
    execute(watched, messages.delete_link(watched.wired.ifindex))
    watched.step()
    assert watched.gone == [watched.wired.ifindex]
    assert watched.wired.ifindex not in watched.vpc.node.desired.settings
    assert [r for r in watched.step() if r.kind != "rule"] == []


def test_lost_events_lead_to_a_full_comparison(watched: Watched) -> None:
    before = watched.state()
    execute(
        watched,
        messages.delete_rule(Rule(512, destination=IPv4Network(POD))),
        messages.delete_route(Route(ANY_IPV4, 2)),
    )
    with watched.vpc.node.netns.run(EventSocket.open) as other:
        ens6 = watched.ifindex("ens6")
        execute(watched, *(messages.set_link(ens6, group=number % 2) for number in range(6000)))
        assert other.drain()[1]  # that was too much for a receive buffer
    write(watched, "conf/ens5/rp_filter", 1)  # announced to nobody
    assert {"rule", "route", "sysctl"} <= {repair.kind for repair in watched.step()}
    execute(watched, messages.set_link(ens6, group=0))
    assert watched.state() == before


def test_a_node_with_read_only_parameters_is_repaired_link_by_link(vpc: "Vpc", tmp_path: Path) -> None:
    with watch(vpc, proc_sys=tmp_path) as watched:
        watched.step()
        write(watched, "ip_forward", 0)
        watched.step()
        for name in ("ens5", "ens6", watched.wiring.host_ifname):
            assert vpc.node.netns.read_sysctl(f"net/ipv4/conf/{name}/forwarding") == "1"
        assert vpc.source_seen(vpc.node.pods[0].netns, vpc.internet) == PLAN.primary_address


def test_on_the_loop_repair_takes_less_than_a_second(watched: Watched) -> None:
    async def until_repaired() -> float:
        watched.monitor.attach(asyncio.get_running_loop())
        await asyncio.sleep(0.25)
        watched.repairs.clear()
        start = time.monotonic()
        execute(watched, messages.delete_rule(Rule(1536, 2, source=IPv4Network(POD))))
        watched.nft.run("delete table ip vpc-cni")
        while {repair.kind for repair in watched.repairs} != {"rule", "nftables"} and time.monotonic() < start + 5:
            await asyncio.sleep(0.005)
        watched.monitor.close()
        return time.monotonic() - start

    assert watched.vpc.node.netns.run(asyncio.run, until_repaired()) < 1
