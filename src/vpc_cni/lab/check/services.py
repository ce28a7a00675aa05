"""What must work through Kubernetes Services: more rows of `lab check`. Pure.

Each target has two Services with itself as the only endpoint, one for each traffic policy, and each row a port of its
own, so that all rows can be asked at the same time and a row that fails names one path.
"""

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from vpc_cni.lab.check.expectations import (
    STREAMS,
    Endpoint,
    Expectation,
    LabView,
    NodeView,
    PodView,
    Protocol,
    eni_note,
    neighbours,
    pods_on,
    representatives,
)

FIRST_TARGET_PORT = 20000
FIRST_SERVICE_PORT = 1000


class Policy(enum.StrEnum):
    """``externalTrafficPolicy``: to any endpoint with the node's address as source, or only to the node's own with
    the client's."""

    CLUSTER = "Cluster"
    LOCAL = "Local"


class Path(enum.IntEnum):
    """The ways to a target; the value numbers the Service's ports."""

    FROM_POD_OF_NODE = 0
    FROM_POD_ELSEWHERE = 1
    FROM_NODE = 2
    FROM_OTHER_NODE = 3
    HAIRPIN = 4
    INTERNET = 5
    INTERNET_BY_OTHER_NODE = 6
    NODE_PORT_FROM_NODE = 7
    NODE_PORT_FROM_POD = 8


PATHS: Mapping[Policy, tuple[Path, ...]] = {
    Policy.CLUSTER: tuple(Path),
    Policy.LOCAL: (Path.INTERNET, Path.NODE_PORT_FROM_NODE, Path.NODE_PORT_FROM_POD),
}


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A Service that leads to one pod. ``node_ports`` holds what the cluster has chosen for each way and protocol."""

    target: PodView
    policy: Policy
    address: IPv4Address
    node_ports: Mapping[tuple[Path, Protocol], int]


def service_targets(view: LabView) -> list[PodView]:
    """Return the pods that need Services: one of each kind of ENI on each node."""
    return [pod for node in view.nodes for pod in representatives(pods_on(view, node))]


def target_port(path: Path, policy: Policy) -> int:
    """Return the port at which a target listens for one way."""
    return FIRST_TARGET_PORT + path + (len(Path) if policy is Policy.LOCAL else 0)


def service_port(path: Path) -> int:
    """Return the port of the Service's own address for one way."""
    return FIRST_SERVICE_PORT + path


def expect_services(view: LabView, services: Sequence[ServiceView]) -> list[Expectation]:
    """Return the rows for all Services, in the order of paths."""
    rows = [row for service in services for row in _rows(view, service)]
    return sorted(rows, key=lambda row: row.title)


def _rows(view: LabView, service: ServiceView) -> Iterator[Expectation]:
    own = next(node for node in view.nodes if node.endpoint.name == service.target.node)
    # The node after the target's own; None in a lab of one node.
    other = next((there for here, there in neighbours(view.nodes) if here == own), None)
    if service.policy is Policy.CLUSTER:
        yield from _cluster_address(view, service, own, other)
    yield from _node_port(view, service, own, other)


def _cluster_address(
    view: LabView, service: ServiceView, own: NodeView, other: NodeView | None
) -> Iterator[Expectation]:
    """Clients inside keep their address; only a pod that reaches itself is hidden, or it would answer itself."""
    target = service.target.endpoint
    beside = next((pod for pod in pods_on(view, own) if pod != service.target), None)
    if beside is not None:
        yield _to_address("Service, pod of the node", service, Path.FROM_POD_OF_NODE, beside.endpoint)
    yield _to_address("Service, node", service, Path.FROM_NODE, own.endpoint)
    yield _to_address("Service, hairpin", service, Path.HAIRPIN, target, seen=own.endpoint.address)
    if other is None:
        return
    yield _to_address("Service, other node", service, Path.FROM_OTHER_NODE, other.endpoint)
    for pod in representatives(pods_on(view, other))[-1:]:
        yield _to_address("Service, pod elsewhere", service, Path.FROM_POD_ELSEWHERE, pod.endpoint)


def _node_port(view: LabView, service: ServiceView, own: NodeView, other: NodeView | None) -> Iterator[Expectation]:
    """Policy Cluster shows the target the node that was dialled; policy Local the client itself."""
    local = service.policy is Policy.LOCAL
    title = f"node port ({service.policy})"
    hidden = own.endpoint.address
    if own.public_address is not None:
        seen = view.internet.address if local else hidden
        yield _to_node(
            f"{title}, internet", service, Path.INTERNET, view.internet, dialled=own.public_address, seen=seen
        )
    if other is None:
        return
    seen = other.endpoint.address if local else hidden
    yield _to_node(f"{title}, other node", service, Path.NODE_PORT_FROM_NODE, other.endpoint, dialled=hidden, seen=seen)
    for pod in representatives(pods_on(view, other))[-1:]:
        seen = pod.endpoint.address if local else hidden
        yield _to_node(
            f"{title}, pod elsewhere", service, Path.NODE_PORT_FROM_POD, pod.endpoint, dialled=hidden, seen=seen
        )
    if not local and other.public_address is not None:
        title = f"{title}, internet by other node"
        way, seen = Path.INTERNET_BY_OTHER_NODE, other.endpoint.address
        yield _to_node(title, service, way, view.internet, dialled=other.public_address, seen=seen)


def _to_address(
    title: str, service: ServiceView, path: Path, source: Endpoint, *, seen: IPv4Address | None = None
) -> Expectation:
    ports = {protocol: (service_port(path), target_port(path, service.policy)) for protocol in STREAMS}
    return _row(title, service, source, dialled=service.address, seen=seen or source.address, ports=ports)


def _to_node(
    title: str, service: ServiceView, path: Path, source: Endpoint, *, dialled: IPv4Address, seen: IPv4Address
) -> Expectation:
    ports = {protocol: (service.node_ports[path, protocol], target_port(path, service.policy)) for protocol in STREAMS}
    return _row(title, service, source, dialled=dialled, seen=seen, ports=ports)


def _row(
    title: str,
    service: ServiceView,
    source: Endpoint,
    *,
    dialled: IPv4Address,
    seen: IPv4Address,
    ports: Mapping[Protocol, tuple[int, int]],
) -> Expectation:
    return Expectation(
        title=title,
        source=source,
        target=service.target.endpoint,
        protocols=STREAMS,
        seen_source=seen,
        dialled=dialled,
        note=eni_note(service.target),
        ports=ports,
    )
