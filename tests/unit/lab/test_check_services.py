"""Which rows a check has for Services, and what each target must see."""

from collections import Counter
from ipaddress import IPv4Address

import pytest

from vpc_cni.lab.check import Endpoint, LabView, NodeView, PodView, Protocol
from vpc_cni.lab.check.expectations import STREAMS
from vpc_cni.lab.check.services import PATHS, Path, Policy, ServiceView, expect_services, service_targets

INTERNET = Endpoint("internet", "internet", IPv4Address("198.51.100.1"))


def node(number: int) -> NodeView:
    endpoint = Endpoint(f"node-{number}", f"i-{number}", IPv4Address(f"10.0.{number}.4"))
    return NodeView(endpoint, IPv4Address(f"198.18.0.{number}"))


def pod(number: int, index: int, secondary: bool) -> PodView:
    name = f"pod-{number}-{index}"
    return PodView(Endpoint(name, name, IPv4Address(f"10.0.{number}.{10 + index}")), f"node-{number}", secondary)


def pods_of(number: int) -> tuple[PodView, ...]:
    return tuple(pod(number, index, index > 1) for index in range(4))


TWO_NODES = LabView((node(1), node(2)), (*pods_of(1), *pods_of(2)), INTERNET)
ONE_NODE = LabView((node(1),), pods_of(1), INTERNET)


def services_of(view: LabView) -> list[ServiceView]:
    """Return what a cluster might make: addresses and node ports in order."""
    services: list[ServiceView] = []
    for target in service_targets(view):
        for policy, paths in PATHS.items():
            first = 30000 + 100 * len(services)
            pairs = [(path, protocol) for path in paths for protocol in STREAMS]
            ports = {pair: first + index for index, pair in enumerate(pairs)}
            services.append(ServiceView(target, policy, IPv4Address("172.20.0.10") + len(services), ports))
    return services


def rows_of(view: LabView):
    return expect_services(view, services_of(view))


def test_targets_are_one_pod_of_each_kind_on_each_node() -> None:
    assert [(pod.node, pod.secondary_eni) for pod in service_targets(TWO_NODES)] == [
        ("node-1", False),
        ("node-1", True),
        ("node-2", False),
        ("node-2", True),
    ]


def test_every_way_is_asked_for_every_target() -> None:
    counts = Counter(row.title for row in rows_of(TWO_NODES))
    assert counts == dict.fromkeys(
        [
            "Service, hairpin",
            "Service, node",
            "Service, other node",
            "Service, pod elsewhere",
            "Service, pod of the node",
            "node port (Cluster), internet",
            "node port (Cluster), internet by other node",
            "node port (Cluster), other node",
            "node port (Cluster), pod elsewhere",
            "node port (Local), internet",
            "node port (Local), other node",
            "node port (Local), pod elsewhere",
        ],
        4,
    )


def test_a_lab_of_one_node_asks_what_one_node_can_show() -> None:
    assert {row.title for row in rows_of(ONE_NODE)} == {
        "Service, hairpin",
        "Service, node",
        "Service, pod of the node",
        "node port (Cluster), internet",
        "node port (Local), internet",
    }


@pytest.mark.parametrize(
    ("title", "dialled", "seen"),
    [
        ("Service, pod elsewhere", "172.20.0.12", "10.0.2.12"),
        ("Service, hairpin", "172.20.0.12", "10.0.1.4"),
        ("node port (Cluster), internet", "198.18.0.1", "10.0.1.4"),
        ("node port (Cluster), internet by other node", "198.18.0.2", "10.0.2.4"),
        ("node port (Cluster), pod elsewhere", "10.0.1.4", "10.0.1.4"),
        ("node port (Local), internet", "198.18.0.1", "198.51.100.1"),
        ("node port (Local), other node", "10.0.1.4", "10.0.2.4"),
        ("node port (Local), pod elsewhere", "10.0.1.4", "10.0.2.12"),
    ],
)
def test_who_dials_what_and_whom_the_target_sees(title: str, dialled: str, seen: str) -> None:
    row = next(row for row in rows_of(TWO_NODES) if row.title == title and row.target.name == "pod-1-2")
    assert (str(row.dialled), str(row.seen_source)) == (dialled, seen)


def test_no_two_rows_listen_at_the_same_port_of_a_pod() -> None:
    used = [
        (row.target.name, protocol, row.ports[protocol][1]) for row in rows_of(TWO_NODES) for protocol in row.protocols
    ]
    assert len(used) == len(set(used)) == 12 * 4 * 2


def test_a_node_port_is_dialled_at_what_the_cluster_chose_for_the_protocol() -> None:
    service = services_of(TWO_NODES)[0]
    row = next(
        row
        for row in rows_of(TWO_NODES)
        if row.title == "node port (Cluster), internet" and row.target == service.target.endpoint
    )
    chosen = {protocol: row.ports[protocol][0] for protocol in STREAMS}
    assert service.policy is Policy.CLUSTER
    assert chosen == {protocol: service.node_ports[Path.INTERNET, protocol] for protocol in STREAMS}
    assert chosen[Protocol.TCP] != chosen[Protocol.UDP]
