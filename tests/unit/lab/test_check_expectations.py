"""Which rows a check has, and which pods it lacks."""

from ipaddress import IPv4Address

import pytest

from vpc_cni.lab.check import Endpoint, LabView, NodeView, PodView, Protocol, expect_all
from vpc_cni.lab.check.expectations import missing_pods

INTERNET = Endpoint("internet", "internet", IPv4Address("198.51.100.1"))


def node(number, public=True):
    endpoint = Endpoint(f"node-{number}", f"i-{number}", IPv4Address(f"10.0.{number}.4"))
    return NodeView(endpoint, IPv4Address(f"198.18.0.{number}") if public else None)


def pods(number, primary=2, secondary=2):
    kinds = [False] * primary + [True] * secondary
    return tuple(
        PodView(
            Endpoint(f"pod-{number}-{i}", f"pod-{number}-{i}", IPv4Address(f"10.0.{number}.{10 + i}")),
            f"node-{number}",
            kind,
        )
        for i, kind in enumerate(kinds)
    )


FULL = LabView((node(1), node(2)), (*pods(1), *pods(2)), INTERNET)


def titles(view):
    return {row.title for row in expect_all(view)}


def test_a_full_lab_is_asked_everything():
    assert titles(FULL) == {
        "pod to pod, same node",
        "pod to pod, other node",
        "pod to its node",
        "pod to other node",
        "node to its pod",
        "node to pod, other node",
        "pod to internet (SNAT)",
        "internet to node port",
        "node to node port, other node",
        "9001-byte packets",
        "1500-byte packets to internet",
    }


@pytest.mark.parametrize("title", ["pod to pod, same node", "pod to pod, other node"])
def test_every_combination_of_enis_is_asked_on_every_node(title):
    rows = [row for row in expect_all(FULL) if row.title == title]
    assert len({(row.source.name, row.target.name) for row in rows}) == len(rows) == 8
    assert {row.note for row in rows} == {
        f"{one} to {other}" for one in ("primary ENI", "secondary ENI") for other in ("primary ENI", "secondary ENI")
    }


def test_no_row_is_between_an_end_and_itself():
    assert all(row.source != row.target for row in expect_all(FULL))


def test_the_internet_must_see_the_nodes_public_address():
    rows = [row for row in expect_all(FULL) if row.title == "pod to internet (SNAT)"]
    assert {(row.source.name[:5], str(row.seen_source)) for row in rows} == {
        ("pod-1", "198.18.0.1"),
        ("pod-2", "198.18.0.2"),
    }


def test_a_node_port_is_dialled_at_its_node_and_keeps_the_clients_address():
    row = next(row for row in expect_all(FULL) if row.title == "internet to node port")
    assert (str(row.dialled), row.seen_source, row.node_port) == ("198.18.0.1", INTERNET.address, "i-1")
    assert row.protocols == (Protocol.TCP, Protocol.UDP)


def test_a_node_without_public_address_is_not_asked_about_the_internet():
    view = LabView((node(1, public=False),), pods(1), INTERNET)
    assert not any("internet" in title for title in titles(view))


def test_one_node_has_no_rows_across_nodes():
    assert not any("other node" in title for title in titles(LabView((node(1),), pods(1), INTERNET)))


def test_without_pods_there_are_no_rows():
    assert expect_all(LabView((node(1), node(2)), (), INTERNET)) == []


@pytest.mark.parametrize(
    ("primary", "secondary", "lacking"),
    [(0, 0, (2, 2)), (5, 0, (0, 2)), (1, 1, (1, 1)), (2, 2, None)],
)
def test_a_check_lacks_what_two_of_each_kind_need(primary, secondary, lacking):
    view = LabView((node(1),), pods(1, primary, secondary), INTERNET)
    assert missing_pods(view) == ({} if lacking is None else {"node-1": lacking})
