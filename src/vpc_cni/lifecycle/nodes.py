"""Nodes by where they run: only those of EC2 run the add-on's pods. Pure.

Nodes of Fargate carry a copy of their own, which nobody but AWS updates; nodes of Auto Mode and hybrid nodes have none.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from vpc_cni.cluster import Resource
from vpc_cni.manifests import Manifest

NODES = Resource("", "v1", "Node", "nodes", namespaced=False)
_COMPUTE_TYPE = "eks.amazonaws.com/compute-type"


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """How many nodes of each kind a cluster has."""

    ec2: int = 0
    fargate: int = 0
    auto: int = 0
    hybrid: int = 0

    def __str__(self) -> str:
        others = (("Fargate", self.fargate), ("Auto Mode", self.auto), ("hybrid", self.hybrid))
        said = [f"{count} of {name}, not managed by the add-on" for name, count in others if count]
        return ", ".join([f"{self.ec2} of EC2", *said])


def count_nodes(nodes: Iterable[Manifest]) -> NodeCounts:
    """Count nodes by their compute type; those without one are of EC2."""
    kinds = [str((each.get("metadata", {}).get("labels") or {}).get(_COMPUTE_TYPE, "ec2")).lower() for each in nodes]
    named = {kind: kinds.count(kind) for kind in ("fargate", "auto", "hybrid")}
    return NodeCounts(ec2=len(kinds) - sum(named.values()), **named)
