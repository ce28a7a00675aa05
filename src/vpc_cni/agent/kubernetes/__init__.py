"""What the agent does with the Kubernetes API, where there is one: never needed for a pod to start or end."""

from vpc_cni.agent.kubernetes.annotator import ANNOTATION, PodAddress
from vpc_cni.agent.kubernetes.cluster import ClusterOptions, ClusterSide
from vpc_cni.agent.kubernetes.joining import check_annotations, join_cluster, make_cluster_side
from vpc_cni.agent.kubernetes.own_node import NodeView

__all__ = [
    "ANNOTATION",
    "ClusterOptions",
    "ClusterSide",
    "NodeView",
    "PodAddress",
    "check_annotations",
    "join_cluster",
    "make_cluster_side",
]
