"""Drift: what someone removes or changes by hand on a node with pods is back within a second, and once only."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from live_node import LiveNode, report, wait_until

pytestmark = pytest.mark.alone

# The promise is one second, on an idle machine; this is for one that runs other tests besides.
PATIENCE_SECONDS = 2.5
TABLE = ("ip", "vpc-cni")


@dataclass(frozen=True)
class Break:
    """Something done by hand, and where it shows."""

    name: str
    command: tuple[str, ...]
    part: Callable[[LiveNode], object]


# -- parts of the node's network, as text or plain data that can be compared --


def rules(node: LiveNode) -> object:
    return sorted(node.run("ip", "rule", "show").splitlines())


def routes(node: LiveNode) -> object:
    lines = node.run("ip", "route", "show", "table", "all").splitlines()
    return sorted(line for line in lines if "table local" not in line and not line.startswith(("ff00", "fe80")))


def neighbours(node: LiveNode) -> object:
    return sorted(node.run("ip", "-4", "neigh", "show", "nud", "permanent").splitlines())


def table(node: LiveNode) -> object:
    return node.run("nft", "list", "ruleset")


def links(node: LiveNode) -> object:
    return sorted((link["ifname"], "UP" in link["flags"]) for link in json.loads(node.run("ip", "-j", "link")))


def pod_links(node: LiveNode) -> list[str]:
    names = [link["ifname"] for link in json.loads(node.run("ip", "-j", "link"))]
    return [name for name in names if name.startswith("eni")]


def sysctl(name: str) -> Callable[[LiveNode], object]:
    return lambda node: node.netns.read_sysctl(name)


# -- what is broken ----


def rule_breaks(node: LiveNode) -> Iterator[Break]:
    """Remove each of our rules: the main table's and the local table's are the kernel's."""
    for line in node.run("ip", "rule", "show").splitlines():
        priority, _, selector = line.partition(":\t")
        if priority in ("512", "1024", "1536"):
            yield Break(f"rule {line}", ("ip", "rule", "del", "pref", priority, *selector.split()), rules)


def route_breaks(node: LiveNode) -> Iterator[Break]:
    for pod in node.lab.pods:
        if pod.node == node.name:
            yield Break(f"route of {pod.name}", ("ip", "route", "del", pod.address), routes)
            move = ("ip", "route", "replace", pod.address, "dev", "lo")
            yield Break(f"route of {pod.name} by another link", move, routes)
    for line in node.run("ip", "route", "show", "table", "2").splitlines():
        destination = line.split()[0]
        yield Break(f"ENI route {line}", ("ip", "route", "del", destination, "table", "2"), routes)
    yield Break("ENI default changed", ("ip", "route", "replace", "blackhole", "default", "table", "2"), routes)
    yield Break("ENI table flushed", ("ip", "route", "flush", "table", "2"), routes)


def neighbour_breaks(node: LiveNode) -> Iterator[Break]:
    entries = [line.split()[:3] for line in node.run("ip", "-4", "neigh", "show", "nud", "permanent").splitlines()]
    for address, _dev, device in [entry for entry in entries if entry[2].startswith("eni")]:
        yield Break(f"neighbour {address}", ("ip", "neigh", "del", address, "dev", device), neighbours)
        wrong = ("lladdr", "02:00:00:00:00:01", "nud", "permanent")
        change = ("ip", "neigh", "replace", address, "dev", device, *wrong)
        yield Break(f"neighbour {address} changed", change, neighbours)


def nftables_breaks(node: LiveNode) -> Iterator[Break]:
    """Remove and change each object of our table."""
    listed = json.loads(node.run("nft", "-a", "-j", "list", "table", *TABLE))["nftables"]
    for entry in listed:
        if rule := entry.get("rule"):
            at = (*TABLE, rule["chain"])
            yield Break(f"nft rule in {rule['chain']}", ("nft", "delete", "rule", *at, "handle", "HANDLE"), table)
        if chain := entry.get("chain"):
            yield Break(f"nft chain {chain['name']}", ("nft", "delete", "chain", *TABLE, chain["name"]), table)
            insert = ("nft", "insert", "rule", *TABLE, chain["name"], "counter", "accept")
            yield Break(f"nft rule inserted into {chain['name']}", insert, table)
    yield Break("nft chain emptied", ("nft", "flush", "chain", *TABLE, "source_nat"), table)
    yield Break("nft element", ("nft", "delete", "element", *TABLE, "untranslated", "{", "10.0.0.0/16", "}"), table)
    yield Break("nft element added", ("nft", "add", "element", *TABLE, "untranslated", "{", "8.0.0.0/8", "}"), table)
    yield Break("nft table", ("nft", "delete", "table", *TABLE), table)


def settings_breaks(node: LiveNode) -> Iterator[Break]:
    pod_link = pod_links(node)[0]
    for name, value in (
        ("net/ipv4/conf/ens5/rp_filter", 1),
        ("net/ipv4/conf/ens5/forwarding", 0),
        ("net/ipv4/conf/ens6/forwarding", 0),
        (f"net/ipv4/conf/{pod_link}/forwarding", 0),
        ("net/ipv4/ip_forward", 0),
    ):
        yield Break(f"{name}={value}", ("sh", "-c", f"echo {value} >/proc/sys/{name}"), sysctl(name))
    yield Break("ENI link down", ("ip", "link", "set", "ens6", "down"), links)
    yield Break("pod link down", ("ip", "link", "set", pod_link, "down"), links)


KINDS = {
    "rules": rule_breaks,
    "routes": route_breaks,
    "neighbours": neighbour_breaks,
    "nftables": nftables_breaks,
    "settings": settings_breaks,
}


@pytest.fixture(scope="module")
def node(start_node: Callable[..., LiveNode]) -> LiveNode:
    """A node with one pod on the primary ENI and one on a secondary one; and a neighbour for traffic across."""
    # One secondary ENI: of several that a burst brings at once, any may be the first to serve a pod.
    env = {"IP_COOLDOWN_PERIOD": "1", "MAX_ENI": "2"}
    started = start_node(nodes=2, instance_type="t3.small", env=env)
    added = started.lab.add_pods(4, "node-1")
    by_device = {pod.device_number: pod.name for pod in added}
    assert by_device.keys() == {0, 1}, "3 pods fit the primary ENI of a t3.small"
    started.lab.delete_pod(*(pod.name for pod in added if pod.name not in by_device.values()))
    wait_until(lambda: len(pod_links(started)) == len(by_device), PATIENCE_SECONDS, "the end of the deleted links")
    started.lab.add_pod("node-2")
    return started


def repairs(node: LiveNode) -> int:
    return int(sum(value for name, value in node.metrics().items() if name.startswith("vpc_cni_drift_repairs_total{")))


def wait_quiet(node: LiveNode) -> None:
    wait_until(lambda: not repairs_lately(node), PATIENCE_SECONDS, "a quiet node")


def repairs_lately(node: LiveNode) -> int:
    before = repairs(node)
    time.sleep(0.3)
    return repairs(node) - before


def whole(node: LiveNode) -> dict[str, object]:
    parts = {"rules": rules, "routes": routes, "neighbours": neighbours, "table": table, "links": links}
    return {name: part(node) for name, part in parts.items()}


def handle_of_first_rule(node: LiveNode, chain: str) -> str:
    listed = json.loads(node.run("nft", "-a", "-j", "list", "chain", *TABLE, chain))["nftables"]
    return str(next(entry["rule"]["handle"] for entry in listed if "rule" in entry))


def carry_out(node: LiveNode, broken: Break) -> tuple[float, int]:
    """Break it; return the seconds until it was as before, and how many repairs the agent counted."""
    before, counted = broken.part(node), repairs(node)
    command = broken.command
    if "HANDLE" in command:
        command = (*command[:-1], handle_of_first_rule(node, command[-3]))
    started = time.monotonic()
    node.run(*command)
    wait_until(lambda: repairs(node) > counted and broken.part(node) == before, PATIENCE_SECONDS, broken.name)
    return time.monotonic() - started, repairs(node) - counted


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_removed_by_hand_is_back_within_a_second(node: LiveNode, kind: str) -> None:
    before = whole(node)
    took = {}
    for broken in list(KINDS[kind](node)):
        if kind != "settings":  # those come so quickly after each other that the monitor slows down, to 0.8 s
            wait_quiet(node)
        took[broken.name], count = carry_out(node, broken)
        assert count <= 3, f"{broken.name}: {count} repairs for one thing"
    worst = max(took, key=lambda name: took[name])
    report(f"drift, {kind}: {len(took)} broken, worst {took[worst]:.2f} s ({worst})")
    assert took[worst] < PATIENCE_SECONDS
    wait_quiet(node)
    assert whole(node) == before


def test_traffic_passes_after_all_repairs(node: LiveNode) -> None:
    assert node.lab.check().failures() == []
    assert node.bugs() == []
