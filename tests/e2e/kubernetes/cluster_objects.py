"""Objects of a lab's cluster, by kubectl: pods are started, counted and ended."""

import json
import time
from collections.abc import Callable
from typing import Any

from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.images import PAUSE_IMAGE

AGENTS = "k8s-app=aws-node"


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> float:
    """Wait for a condition; return the seconds that it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.1)
    return time.monotonic() - started


def kubectl(lab: Lab, *arguments: str, document: dict[str, Any] | None = None) -> str:
    done = lab.kubernetes.kubectl(*arguments, stdin=json.dumps(document) if document else None)
    assert done.returncode == 0, done.stderr
    return done.stdout


def list_pods(lab: Lab, selector: str, namespace: str = "default") -> list[dict[str, Any]]:
    text = kubectl(lab, "get", "pods", f"--namespace={namespace}", f"--selector={selector}", "-o=json")
    items: list[dict[str, Any]] = json.loads(text)["items"]
    return items


def agent_pods(lab: Lab) -> dict[str, dict[str, Any]]:
    """Return the DaemonSet's pods by the names of their nodes."""
    return {pod["spec"]["nodeName"]: pod for pod in list_pods(lab, AGENTS, "kube-system")}


def running(lab: Lab, selector: str) -> list[dict[str, Any]]:
    """Return the pods that are Ready and stay."""
    return [
        pod
        for pod in list_pods(lab, selector)
        if any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
        and "deletionTimestamp" not in pod["metadata"]
    ]


def pod_document(name: str, image: str = PAUSE_IMAGE, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": image, "imagePullPolicy": "Never"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }


def start_pods(lab: Lab, name: str, count: int, node: str | None = None) -> float:
    """Start a Deployment without a service account's token; return the seconds until all its pods run."""
    labels = {"app": name}
    pod: dict[str, Any] = {
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "containers": [{"name": "main", "image": PAUSE_IMAGE, "imagePullPolicy": "Never"}],
    }
    if node is not None:
        pod["nodeSelector"] = {"kubernetes.io/hostname": node}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": count, "selector": {"matchLabels": labels}, "template": template}
    document = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
    kubectl(lab, "apply", "-f=-", document=document)
    return wait_until(lambda: len(running(lab, f"app={name}")) == count, f"Running of {count} pods", 120)


def end_pods(lab: Lab, name: str) -> float:
    """Delete a Deployment; return the seconds until its pods are gone."""
    kubectl(lab, "delete", "deployment", name)
    return wait_until(lambda: not list_pods(lab, f"app={name}"), "the end of the pods")


def restarts(lab: Lab, selector: str, namespace: str = "default") -> int:
    pods = list_pods(lab, selector, namespace)
    return sum(each["restartCount"] for pod in pods for each in pod["status"].get("containerStatuses", []))


def failed_sandboxes(lab: Lab) -> list[str]:
    """Return what kubelets said about pods that got no network.

    Not of those whose sandbox runc could not start, which happens now and then and is no plugin's doing.
    """
    text = kubectl(lab, "get", "events", "--field-selector=reason=FailedCreatePodSandBox", "-o=json")
    return [event["message"] for event in json.loads(text)["items"] if "setup network for sandbox" in event["message"]]


def agent_containers(lab: Lab) -> dict[str, tuple[str, int]]:
    """Return container id and count of restarts of each node's agent."""
    found = {}
    for node, pod in agent_pods(lab).items():
        (status,) = (each for each in pod["status"]["containerStatuses"] if each["name"] == "aws-node")
        found[node] = (status["containerID"], status["restartCount"])
    return found


def agent_log(lab: Lab, node: str) -> str:
    name = agent_pods(lab)[node]["metadata"]["name"]
    return kubectl(lab, "logs", "--namespace=kube-system", name, "--container=aws-node")


def node_is_ready(lab: Lab, name: str) -> bool:
    return any(node["name"] == name and node["ready"] for node in lab.kubernetes.status["nodes"])
