"""What must work in a VPC with pods: the rows of `lab check`. Pure.

The reference's rules break in ways that most pings do not see (a missing source rule loses only traffic between
nodes, a missing connection mark only replies of node ports on secondary ENIs), so each row is asked for pods on the
primary and on a secondary ENI.
"""

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address


class Protocol(enum.StrEnum):
    TCP = "TCP"
    UDP = "UDP"
    PING = "ping"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place where packets start or end: a display name, the namespace, and the address there."""

    name: str
    namespace: str
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class NodeView:
    endpoint: Endpoint
    public_address: IPv4Address | None = None


@dataclass(frozen=True, slots=True)
class PodView:
    endpoint: Endpoint
    node: str
    secondary_eni: bool


@dataclass(frozen=True, slots=True)
class LabView:
    """All that a check knows. ``internet`` is a host outside; pods and nodes are in the order of creation."""

    nodes: tuple[NodeView, ...]
    pods: tuple[PodView, ...]
    internet: Endpoint
    mtu_bytes: int = 9001
    internet_mtu_bytes: int = 1500


@dataclass(frozen=True, slots=True)
class Expectation:
    """One row: packets from ``source`` reach ``target`` and are answered.

    Args:
        dialled: the address that the source sends to, when it is not the target's own.
        seen_source: the source address that the target must see.
        size_bytes: IP packet size of one UDP datagram or ping; TCP carries a stream of 16 such packets.
        node_port: the node whose port leads to the target; ``dialled`` is then an address of that node.
        ports: for each protocol the port that the source sends to and the one at which the target listens, where a
            Service fixes them. No other row may use that port of the target.
    """

    title: str
    source: Endpoint
    target: Endpoint
    protocols: tuple[Protocol, ...]
    seen_source: IPv4Address
    dialled: IPv4Address
    size_bytes: int = 128
    node_port: str | None = None
    note: str = ""
    ports: Mapping[Protocol, tuple[int, int]] | None = None


ALL = (Protocol.TCP, Protocol.UDP, Protocol.PING)
STREAMS = (Protocol.TCP, Protocol.UDP)


def expect_all(view: LabView) -> list[Expectation]:
    """Return every row for this lab: one representative for each node and each kind of ENI, in reading order."""
    return [*expect_direct(view), *_node_ports(view), *expect_large(view)]


def expect_direct(view: LabView) -> list[Expectation]:
    """Return the rows in which an address is dialled that somebody has."""
    return [
        *_pods_of_one_node(view),
        *_pods_across_nodes(view),
        *_pods_to_nodes(view),
        *_nodes_to_pods(view),
        *_pods_to_internet(view),
    ]


def expect_large(view: LabView) -> list[Expectation]:
    """Return the rows with packets as large as the link."""
    return list(_large_packets(view))


def missing_pods(view: LabView) -> dict[str, tuple[int, int]]:
    """Return for each node how many pods on its primary and on secondary ENIs a full check lacks (two of each)."""
    lacking = {}
    for node in view.nodes:
        on_node = [pod for pod in view.pods if pod.node == node.endpoint.name]
        secondary = sum(pod.secondary_eni for pod in on_node)
        short = max(2 - (len(on_node) - secondary), 0), max(2 - secondary, 0)
        if any(short):
            lacking[node.endpoint.name] = short
    return lacking


def _pods_of_one_node(view: LabView) -> Iterator[Expectation]:
    for node in view.nodes:
        for one, other in _class_pairs(pods_on(view, node), pods_on(view, node)):
            yield _direct("pod to pod, same node", one.endpoint, other.endpoint, eni_note(one, other))


def _pods_across_nodes(view: LabView) -> Iterator[Expectation]:
    for here, there in neighbours(view.nodes):
        for one, other in _class_pairs(pods_on(view, here), pods_on(view, there)):
            yield _direct("pod to pod, other node", one.endpoint, other.endpoint, eni_note(one, other))


def _pods_to_nodes(view: LabView) -> Iterator[Expectation]:
    for node in view.nodes:
        for pod in representatives(pods_on(view, node)):
            yield _direct("pod to its node", pod.endpoint, node.endpoint, eni_note(pod))
    for here, there in neighbours(view.nodes):
        for pod in representatives(pods_on(view, here)):
            yield _direct("pod to other node", pod.endpoint, there.endpoint, eni_note(pod))


def _nodes_to_pods(view: LabView) -> Iterator[Expectation]:
    for node in view.nodes:
        for pod in representatives(pods_on(view, node)):
            yield _direct("node to its pod", node.endpoint, pod.endpoint, eni_note(pod))
    for here, there in neighbours(view.nodes):
        for pod in representatives(pods_on(view, there)):
            yield _direct("node to pod, other node", here.endpoint, pod.endpoint, eni_note(pod))


def _pods_to_internet(view: LabView) -> Iterator[Expectation]:
    for node in view.nodes:
        if node.public_address is None:
            continue
        for pod in representatives(pods_on(view, node)):
            yield Expectation(
                title="pod to internet (SNAT)",
                source=pod.endpoint,
                target=view.internet,
                protocols=ALL,
                seen_source=node.public_address,
                dialled=view.internet.address,
                note=eni_note(pod),
            )


def _node_ports(view: LabView) -> Iterator[Expectation]:
    """Clients outside, on another node and in a pod elsewhere reach a pod through a port of its node."""
    for node in view.nodes:
        for pod in representatives(pods_on(view, node)):
            if node.public_address is not None:
                yield _node_port("internet to node port", view.internet, node, pod, node.public_address)
    for here, there in neighbours(view.nodes):
        for pod in representatives(pods_on(view, there)):
            yield _node_port("node to node port, other node", here.endpoint, there, pod, there.endpoint.address)


def _large_packets(view: LabView) -> Iterator[Expectation]:
    for here, there in neighbours(view.nodes):
        for one, other in _class_pairs(pods_on(view, here), pods_on(view, there), mixed=False):
            yield _direct(f"{view.mtu_bytes}-byte packets", one.endpoint, other.endpoint, eni_note(one), view.mtu_bytes)
    for node in view.nodes:
        if node.public_address is None:
            continue
        for pod in representatives(pods_on(view, node)):
            yield Expectation(
                title=f"{view.internet_mtu_bytes}-byte packets to internet",
                source=pod.endpoint,
                target=view.internet,
                protocols=ALL,
                seen_source=node.public_address,
                dialled=view.internet.address,
                size_bytes=view.internet_mtu_bytes,
                note=eni_note(pod),
            )


def _direct(title: str, source: Endpoint, target: Endpoint, note: str, size_bytes: int = 128) -> Expectation:
    return Expectation(title, source, target, ALL, source.address, target.address, size_bytes, note=note)


def _node_port(title: str, source: Endpoint, node: NodeView, pod: PodView, dialled: IPv4Address) -> Expectation:
    return Expectation(
        title=title,
        source=source,
        target=pod.endpoint,
        protocols=STREAMS,
        seen_source=source.address,
        dialled=dialled,
        node_port=node.endpoint.namespace,
        note=eni_note(pod),
    )


def pods_on(view: LabView, node: NodeView) -> list[PodView]:
    return [pod for pod in view.pods if pod.node == node.endpoint.name]


def representatives(pods: Sequence[PodView]) -> list[PodView]:
    """Return the first pod of each kind of ENI."""
    return [group[0] for group in by_class(pods) if group]


def by_class(pods: Iterable[PodView]) -> tuple[list[PodView], list[PodView]]:
    listed = list(pods)
    return [pod for pod in listed if not pod.secondary_eni], [pod for pod in listed if pod.secondary_eni]


def _class_pairs(
    ones: Sequence[PodView], others: Sequence[PodView], mixed: bool = True
) -> Iterator[tuple[PodView, PodView]]:
    """Yield one pair of different pods for each combination of kinds of ENI that exists."""
    for one_class, sources in enumerate(by_class(ones)):
        for other_class, targets in enumerate(by_class(others)):
            pair = next(((one, other) for one in sources for other in reversed(targets) if one != other), None)
            if pair is not None and (mixed or one_class == other_class):
                yield pair


def neighbours(nodes: Sequence[NodeView]) -> list[tuple[NodeView, NodeView]]:
    """Return each node with the next one, around the ring: every node sends and receives, without n * n rows."""
    if len(nodes) < 2:
        return []
    return [(node, nodes[(index + 1) % len(nodes)]) for index, node in enumerate(nodes)]


def eni_note(*pods: PodView) -> str:
    return " to ".join("secondary ENI" if pod.secondary_eni else "primary ENI" for pod in pods)
