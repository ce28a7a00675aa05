"""The DaemonSet of this checkout's own image on bare nodes: it installs, serves, survives and rolls.

Needs the image's archive (`make image`); skipped without.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.images import PAUSE_IMAGE
from vpc_cni.lab.kubernetes.installer import DEFAULT_ARCHIVE
from vpc_cni.lab.kubernetes.pod_namespaces import open_pod_namespaces

PODS = 40
PODS_FOR_MEMORY = 100
MEMORY_BAR_MIB = 45
AWAY_SECONDS = float(os.environ.get("VPC_CNI_API_AWAY_SECONDS", "30"))
NEXT_VERSION = "v1.16.2-eksbuild.1"
NET_ADMIN = 1 << 12  # linux/capability.h
SECCOMP_MODE_FILTER = 2  # linux/seccomp.h
STREAM_PORT = 9000

pytestmark = [
    pytest.mark.usefixtures("kubernetes_programs"),
    pytest.mark.skipif(not DEFAULT_ARCHIVE.is_file(), reason="the image is not built: make image"),
]


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> float:
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


def running(lab: Lab, selector: str) -> list[dict[str, Any]]:
    return [
        pod
        for pod in list_pods(lab, selector)
        if any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
    ]


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
    kubectl(
        lab,
        "apply",
        "-f=-",
        document={"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec},
    )
    return wait_until(lambda: len(running(lab, f"app={name}")) == count, f"Running of {count} pods", 120)


def end_pods(lab: Lab, name: str) -> None:
    kubectl(lab, "delete", "deployment", name)
    wait_until(lambda: not list_pods(lab, f"app={name}"), "the end of the pods")


def restarts(lab: Lab, selector: str, namespace: str = "default") -> int:
    pods = list_pods(lab, selector, namespace)
    return sum(each["restartCount"] for pod in pods for each in pod["status"].get("containerStatuses", []))


def node_file(lab: Lab, node: str, path: str) -> Path:
    init = next(each["init_pid"] for each in lab.kubernetes.status["nodes"] if each["name"] == node)
    return Path(f"/proc/{init}/root{path}")


def agent_pid(lab: Lab, node: str) -> str:
    return lab.kubernetes.run(node, ["pgrep", "-xf", ".*python -I /app/aws-vpc-cni *"]).stdout.strip()


def read_process(lab: Lab, node: str, file: str) -> str:
    return lab.kubernetes.run(node, ["cat", f"/proc/{agent_pid(lab, node)}/{file}"]).stdout


def pod_routes(lab: Lab, node: str) -> set[str]:
    """Return the addresses of the pods that a node has routes to."""
    return set(re.findall(r"^(\S+) dev eni", lab.run(node, ["ip", "route"]).stdout, re.MULTILINE))


def failed_sandboxes(lab: Lab) -> list[str]:
    text = kubectl(lab, "get", "events", "--field-selector=reason=FailedCreatePodSandBox", "-o=json")
    return [event["message"] for event in json.loads(text)["items"]]


@pytest.fixture(scope="module")
def lab(kubernetes_programs: None, figures: dict[str, float]) -> Iterator[Lab]:
    name = f"k8s-ds-{os.getpid() % 10000}"
    env = {"IP_COOLDOWN_PERIOD": "5"}
    started = time.monotonic()
    with Lab(name=name, instance_type="m5.large", env=env, kubernetes=True, install=str(DEFAULT_ARCHIVE)) as made:
        figures["daemonset_ready_seconds"] = time.monotonic() - started
        yield made


def test_bare_nodes_become_ready_by_the_daemonset(lab: Lab) -> None:
    assert [node["ready"] for node in lab.kubernetes.status["nodes"]] == [True, True]
    assert all(node.agent_pid is None for node in lab.nodes), "agents of the lab"
    (first, second) = list_pods(lab, "k8s-app=aws-node", "kube-system")
    assert {first["spec"]["nodeName"], second["spec"]["nodeName"]} == {"node-1", "node-2"}


def held(lab: Lab) -> dict[str, tuple[int, int]]:
    """Return how many ENIs and secondary addresses EC2 counts for each node."""
    return {node.name: (len(node.enis), sum(len(eni.addresses) for eni in node.enis)) for node in lab.nodes}


def test_pods_get_addresses_of_the_vpc_and_leave_nothing(lab: Lab, figures: dict[str, float]) -> None:
    before = held(lab)
    figures[f"daemonset_pods_{PODS}_running_seconds"] = start_pods(lab, "many", PODS)
    pods = running(lab, "app=many")
    addresses = {pod["status"]["podIP"] for pod in pods}
    assigned = {address for node in lab.nodes for eni in node.enis for address in eni.addresses}
    assert len(addresses) == PODS
    assert addresses <= assigned
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node-1", "node-2"}
    end_pods(lab, "many")
    wait_until(lambda: not any(pod_routes(lab, node) for node in ("node-1", "node-2")), "the end of the routes")
    figures["daemonset_pool_as_before_seconds"] = wait_until(
        lambda: held(lab) == before, "the return of all addresses to EC2", 90
    )


def test_every_packet_arrives_by_the_daemonset(lab: Lab, figures: dict[str, float]) -> None:
    report = lab.check()
    figures["daemonset_check_rows_passed"] = sum(row["passed"] for row in report.rows)
    assert report.failures() == []


@pytest.mark.parametrize("node", ["node-1", "node-2"])
def test_the_agent_has_one_capability_and_cannot_write_its_own_files(lab: Lab, node: str) -> None:
    status = dict(line.split(":\t", 1) for line in read_process(lab, node, "status").splitlines() if ":\t" in line)
    for kind in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[kind], 16) == NET_ADMIN, kind
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert int(status["Seccomp"]) == SECCOMP_MODE_FILTER
    assert int(status["NoNewPrivs"]) == 1
    (root,) = (line for line in read_process(lab, node, "mountinfo").splitlines() if line.split()[4] == "/")
    assert "ro" in root.split()[5].split(",")


@contextmanager
def ping(lab: Lab, node: str, netns: str, address: str) -> Iterator[dict[str, int]]:
    """Ping 50 times a second from a pod for as long as the block runs; the counts are there afterwards."""
    enter = ["nsenter", f"--net={node_file(lab, node, f'/run/netns/{netns}')}"]
    command = [*enter, str(shutil.which("ping")), "-n", "-q", "-i", "0.02", "-W", "2", address]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    counts: dict[str, int] = {}
    try:
        yield counts
    finally:
        time.sleep(0.5)  # the last answer
        process.send_signal(2)
        said, _ = process.communicate(timeout=10)
        found = re.search(r"(\d+) packets transmitted, (\d+) received", said)
        assert found is not None, said
        counts.update(sent=int(found[1]), received=int(found[2]))


def netns_name(lab: Lab, node: str, address: str) -> str:
    """Return the name under which containerd keeps the namespace of a pod."""
    folder = node_file(lab, node, "/run/netns")
    found = open_pod_namespaces(node_file(lab, node, "/"))
    try:
        inode = found[IPv4Address(address)].inode
        return next(path.name for path in folder.iterdir() if path.stat().st_ino == inode)
    finally:
        for netns in found.values():
            netns.close()


class Stream:
    """A TCP connection between two pods that carries 100 numbered lines a second; counts what comes out of order."""

    def __init__(self, lab: Lab, source: dict[str, Any], target: dict[str, Any]) -> None:
        spaces = [open_pod_namespaces(node_file(lab, pod["spec"]["nodeName"], "/")) for pod in (source, target)]
        address = target["status"]["podIP"]
        listener = spaces[1][IPv4Address(address)].socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((address, STREAM_PORT))
        listener.listen()
        self._out = spaces[0][IPv4Address(source["status"]["podIP"])].socket(socket.AF_INET, socket.SOCK_STREAM)
        self._out.settimeout(10)
        self._out.connect((address, STREAM_PORT))
        self._in, _ = listener.accept()
        self._in.settimeout(10)
        listener.close()
        for netns in (each for space in spaces for each in space.values()):
            netns.close()
        self._stopping = threading.Event()
        self.sent, self.received, self.longest_gap_seconds = 0, 0, 0.0
        self._threads = [threading.Thread(target=work) for work in (self._send, self._receive)]

    def __enter__(self) -> "Stream":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(20)
        # tcpi_total_retrans; linux/tcp.h
        info = self._out.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        self.retransmitted = int.from_bytes(info[100:104], "little")
        self._out.close()
        self._in.close()

    def _send(self) -> None:
        while not self._stopping.wait(0.01):
            self._out.sendall(f"{self.sent}\n".encode())
            self.sent += 1
        self._out.shutdown(socket.SHUT_WR)

    def _receive(self) -> None:
        last = time.monotonic()
        for line in self._in.makefile():
            now = time.monotonic()
            self.longest_gap_seconds = max(self.longest_gap_seconds, now - last)
            last = now
            self.received += line == f"{self.received}\n"


@pytest.fixture
def pair(lab: Lab) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Return one pod on each node."""
    for node in ("node-1", "node-2"):
        start_pods(lab, f"calm-{node}", 1, node)
    yield running(lab, "app=calm-node-1")[0], running(lab, "app=calm-node-2")[0]
    for node in ("node-1", "node-2"):
        end_pods(lab, f"calm-{node}")


@contextmanager
def traffic(lab: Lab, pair: tuple[dict[str, Any], dict[str, Any]]) -> Iterator[tuple[dict[str, int], Stream]]:
    """Run a ping and a TCP stream between two pods, and demand afterwards that nothing was lost."""
    source, target = pair
    name = netns_name(lab, "node-1", source["status"]["podIP"])
    with Stream(lab, source, target) as stream, ping(lab, "node-1", name, target["status"]["podIP"]) as counts:
        yield counts, stream
    assert counts["received"] == counts["sent"] > 0
    assert stream.received == stream.sent > 0
    assert stream.retransmitted == 0


def test_a_roll_to_another_tag_loses_nothing(
    lab: Lab, pair: tuple[dict[str, Any], dict[str, Any]], figures: dict[str, float]
) -> None:
    before = {pod["metadata"]["uid"] for pod in list_pods(lab, "k8s-app=aws-node", "kube-system")}
    failed: list[str] = failed_sandboxes(lab)
    started = time.monotonic()
    with traffic(lab, pair) as (counts, stream):
        roll = threading.Thread(target=lab.kubernetes.install, kwargs={"version": NEXT_VERSION})
        roll.start()
        batches = 0
        while roll.is_alive():
            batches += 1
            start_pods(lab, f"fresh-{batches}", 4)
            end_pods(lab, f"fresh-{batches}")
        roll.join()
    figures["roll_seconds"] = time.monotonic() - started
    figures["roll_pings_lost"] = counts["sent"] - counts["received"]
    figures["roll_pings_sent"] = counts["sent"]
    figures["roll_stream_longest_gap_seconds"] = stream.longest_gap_seconds
    figures["roll_pods_started"] = 4 * batches
    after = list_pods(lab, "k8s-app=aws-node", "kube-system")
    assert not before & {pod["metadata"]["uid"] for pod in after}
    assert {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in after} == {NEXT_VERSION}
    assert failed_sandboxes(lab) == failed
    assert restarts(lab, "app") == 0


def kill_sandbox(lab: Lab, node: str, pod: str) -> None:
    """End a pod's sandbox behind kubelet's back: it then runs DEL and ADD by itself."""
    labels = f'labels."io.kubernetes.pod.name"=={pod},labels."io.cri-containerd.kind"==sandbox'
    found = lab.kubernetes.run(node, ["ctr", "-n", "k8s.io", "containers", "ls", "-q", labels]).stdout.split()
    assert len(found) == 1
    done = lab.kubernetes.run(node, ["ctr", "-n", "k8s.io", "tasks", "kill", "-s", "9", found[0]])
    assert done.returncode == 0, done.stderr


def agent_log(lab: Lab, node: str) -> str:
    pods = list_pods(lab, "k8s-app=aws-node", "kube-system")
    (name,) = (pod["metadata"]["name"] for pod in pods if pod["spec"]["nodeName"] == node)
    return kubectl(lab, "logs", "--namespace=kube-system", name, "--container=aws-node")


@pytest.mark.timeout(AWAY_SECONDS + 120)
def test_pods_live_start_and_end_while_the_api_server_is_away(
    lab: Lab, pair: tuple[dict[str, Any], dict[str, Any]], figures: dict[str, float]
) -> None:
    start_pods(lab, "again", 1, "node-1")
    (again,) = running(lab, "app=again")
    address = again["status"]["podIP"]
    agents = {node: agent_pid(lab, node) for node in ("node-1", "node-2")}
    with traffic(lab, pair):
        lab.kubernetes.stop("kube-apiserver")
        away = time.monotonic()
        try:
            others = pod_routes(lab, "node-1") - {address}
            kill_sandbox(lab, "node-1", again["metadata"]["name"])
            wait_until(lambda: address not in pod_routes(lab, "node-1"), "DEL without an API server")
            figures["api_away_replaced_pod_seconds"] = wait_until(
                lambda: len(pod_routes(lab, "node-1") - others) == 1, "ADD without an API server"
            )
            time.sleep(max(AWAY_SECONDS - (time.monotonic() - away), 0.0))
        finally:
            lab.kubernetes.start("kube-apiserver")
    figures["api_away_seconds"] = time.monotonic() - away
    (new,) = pod_routes(lab, "node-1") - others
    wait_until(lambda: [pod["status"].get("podIP") for pod in running(lab, "app=again")] == [new], "the new address")
    # Whoever watches a Node sees that it is cordoned.
    kubectl(lab, "cordon", "node-1")
    wait_until(lambda: "the node is cordoned" in agent_log(lab, "node-1"), "the agent's look at its node")
    kubectl(lab, "uncordon", "node-1")
    assert {node: agent_pid(lab, node) for node in agents} == agents
    assert restarts(lab, "k8s-app=aws-node", "kube-system") == 0
    wait_until(lambda: all(node["ready"] for node in lab.kubernetes.status["nodes"]), "Ready again")
    end_pods(lab, "again")


def test_the_agent_is_small_with_a_hundred_pods(kubernetes_programs: None, figures: dict[str, float]) -> None:
    name = f"k8s-mem-{os.getpid() % 10000}"
    with Lab(name=name, nodes=1, instance_type="m5.4xlarge", kubernetes=True, install=str(DEFAULT_ARCHIVE)) as lab:
        start_pods(lab, "many", PODS_FOR_MEMORY)
        found = re.search(r"^Pss: +(\d+) kB", read_process(lab, "node-1", "smaps_rollup"), re.MULTILINE)
        assert found is not None
        figures[f"agent_pss_{PODS_FOR_MEMORY}_pods_mib"] = int(found[1]) / 1024
        assert int(found[1]) / 1024 <= MEMORY_BAR_MIB
