"""What is read out of a Node."""

from ipaddress import IPv4Address

import pytest

from vpc_cni.agent.kubernetes.annotator import Change, PodAddress, plan_changes
from vpc_cni.agent.kubernetes.own_node import NodeView, view_of
from vpc_cni.kube import Node
from vpc_cni.kube.objects import Allocatable, NodeSpec, NodeStatus, Taint
from vpc_cni.model import PodIdentity, SandboxKey

CORDON = Taint("node.kubernetes.io/unschedulable", "NoSchedule")


@pytest.mark.parametrize(
    ("spec", "unschedulable"),
    [
        (NodeSpec(), False),
        (NodeSpec(unschedulable=True), True),
        (NodeSpec(taints=(CORDON,)), True),
        (NodeSpec(taints=(Taint("other", "NoSchedule"), CORDON)), True),
        (NodeSpec(taints=(Taint(CORDON.key, "PreferNoSchedule"),)), False),
        (NodeSpec(taints=(Taint("other", "NoSchedule"),)), False),
    ],
)
def test_who_is_cordoned(spec: NodeSpec, unschedulable: bool) -> None:
    assert view_of(Node(spec=spec)).unschedulable is unschedulable


@pytest.mark.parametrize(
    ("pods", "max_pods"), [("110", 110), ("8", 8), ("", None), ("0", None), ("1k", None), ("-1", None), ("٣", None)]
)
def test_how_many_pods_may_run(pods: str, max_pods: int | None) -> None:
    assert view_of(Node(status=NodeStatus(Allocatable(pods)))).max_pods == max_pods


def test_a_node_without_a_status_says_nothing() -> None:
    assert view_of(Node()) == NodeView(is_known=True)


def holder(name: str, last: int) -> PodAddress:
    return PodAddress(PodIdentity("shop", name), IPv4Address(f"10.0.0.{last}"))


A, B = SandboxKey("n", "a", "eth0"), SandboxKey("n", "b", "eth0")


@pytest.mark.parametrize(
    ("wanted", "written", "changes"),
    [
        ({}, {}, ()),
        ({A: holder("web", 1)}, {}, (Change(A, holder("web", 1), is_gone=False),)),
        ({A: holder("web", 1)}, {A: holder("web", 1)}, ()),
        ({A: holder("web", 2)}, {A: holder("web", 1)}, (Change(A, holder("web", 2), is_gone=False),)),
        ({}, {A: holder("web", 1)}, (Change(A, holder("web", 1), is_gone=True),)),
        ({B: holder("web", 2)}, {A: holder("web", 1)}, (Change(B, holder("web", 2), is_gone=False),)),
        ({A: holder("", 1)}, {}, ()),
    ],
    ids=["nothing", "new", "done", "other address", "gone", "sandbox made anew", "outside Kubernetes"],
)
def test_what_is_patched(
    wanted: dict[SandboxKey, PodAddress], written: dict[SandboxKey, PodAddress], changes: tuple[Change, ...]
) -> None:
    assert plan_changes(wanted, written) == changes
