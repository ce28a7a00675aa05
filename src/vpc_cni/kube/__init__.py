"""A thin client of the Kubernetes API for the node agent: get, list, watch, patch annotations, conditions, Events.

Synchronous, for worker threads: ``urllib3`` is in the agent already, a thread costs about 0.1 MiB, and the agent
needs one watch and few calls. An asyncio face would need an HTTP parser of its own or another dependency, and
would put TLS and JSON of the API server onto the loop that serves pods. Nothing here blocks that loop: a watch runs
in a thread of its own, calls in a pool of at most two.

No generated client, no cache of objects: what is watched is one Node, and of it a few fields are kept.
"""

from vpc_cni.kube._http import Limits
from vpc_cni.kube.access import SERVICE_ACCOUNT, ClusterAccess, find_access, load_kubeconfig
from vpc_cni.kube.client import KubeClient, Listing, NodeCondition
from vpc_cni.kube.events import Event, EventBook, EventType, EventWrite, ObjectReference, Occurrence
from vpc_cni.kube.objects import Node, ObjectMeta, Pod, Taint
from vpc_cni.kube.resources import NODES, PODS, Resource, Selection, own_node, own_pods
from vpc_cni.kube.timing import Backoff, Timing
from vpc_cni.kube.watch import Watcher, WatchObserver

__all__ = [
    "NODES",
    "PODS",
    "SERVICE_ACCOUNT",
    "Backoff",
    "ClusterAccess",
    "Event",
    "EventBook",
    "EventType",
    "EventWrite",
    "KubeClient",
    "Limits",
    "Listing",
    "Node",
    "NodeCondition",
    "ObjectMeta",
    "ObjectReference",
    "Occurrence",
    "Pod",
    "Resource",
    "Selection",
    "Taint",
    "Timing",
    "WatchObserver",
    "Watcher",
    "find_access",
    "load_kubeconfig",
    "own_node",
    "own_pods",
]
