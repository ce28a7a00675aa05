"""The objects that a check makes in the cluster, and what it reads of them. Pure.

One Deployment for each node, so that each node can be given as many pods as it lacks; one Service for each target and
traffic policy, whose selector is a label that the check puts on that pod alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from vpc_cni.lab.check.expectations import STREAMS, PodView, Protocol
from vpc_cni.lab.check.services import PATHS, Path, Policy, ServiceView, service_port, target_port
from vpc_cni.lab.kubernetes.images import ECHO_IMAGE

Json = dict[str, Any]

NAMESPACE = "lab-check"
TARGET_LABEL = "lab-check/target"
NODE_LABEL = "lab-check/node"


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A pod that has an address and runs."""

    name: str
    node: str
    address: IPv4Address


def namespace() -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def deployment(node: str, replicas: int) -> Json:
    """Return the Deployment of one node's pods."""
    labels = {NODE_LABEL: node}
    pod = {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "echo", "image": ECHO_IMAGE, "imagePullPolicy": "Never"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": node},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def service(target: PodView, policy: Policy) -> Json:
    """Return the Service of a target for one policy."""
    ports = [
        {
            "name": port_name(path, protocol),
            "protocol": str(protocol),
            "port": service_port(path),
            "targetPort": target_port(path, policy),
        }
        for path in PATHS[policy]
        for protocol in STREAMS
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service_name(target, policy)},
        "spec": {
            "type": "NodePort",
            "externalTrafficPolicy": str(policy),
            "selector": {TARGET_LABEL: target.endpoint.name},
            "ports": ports,
        },
    }


def service_name(target: PodView, policy: Policy) -> str:
    """Return a name that a Service may have: the pod's own may be too long."""
    kind = "secondary" if target.secondary_eni else "primary"
    return f"{target.node}-{kind}-{policy.lower()}"


def port_name(path: Path, protocol: Protocol) -> str:
    return f"{protocol.lower()}-{int(path)}"


def read_service(document: Mapping[str, Any], target: PodView, policy: Policy) -> ServiceView:
    """Return what the cluster has made of a Service."""
    chosen = {port["name"]: int(port["nodePort"]) for port in document["spec"]["ports"]}
    node_ports = {(path, protocol): chosen[port_name(path, protocol)] for path in PATHS[policy] for protocol in STREAMS}
    return ServiceView(target, policy, IPv4Address(document["spec"]["clusterIP"]), node_ports)


def read_pods(items: Iterable[Mapping[str, Any]]) -> list[RunningPod]:
    """Return the pods that run, in the order of creation."""
    running = [item for item in items if _is_running(item)]
    running.sort(key=lambda item: (item["metadata"]["creationTimestamp"], item["metadata"]["name"]))
    return [
        RunningPod(item["metadata"]["name"], item["spec"]["nodeName"], IPv4Address(item["status"]["podIP"]))
        for item in running
    ]


def endpoints(services: Iterable[ServiceView]) -> set[str]:
    """Return the destinations, as kube-proxy's rules spell them, that every node must know."""
    return {
        f"{each.target.endpoint.address}:{target_port(path, each.policy)}"
        for each in services
        for path in PATHS[each.policy]
    }


def _is_running(item: Mapping[str, Any]) -> bool:
    status = item.get("status", {})
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", []))
    return ready and "podIP" in status and "deletionTimestamp" not in item["metadata"]
