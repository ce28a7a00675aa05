"""The agent's client against a real API server and etcd, with client certificates, restarts and all."""

import asyncio
import datetime
import json
import queue
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.agent.clock import boottime
from vpc_cni.agent.errors_seen import ErrorsSeen
from vpc_cni.agent.kubernetes import ANNOTATION, ClusterOptions, ClusterSide, NodeView, PodAddress
from vpc_cni.errors import (
    CapacityError,
    KubernetesConflictError,
    KubernetesError,
    KubernetesNotFoundError,
    Shortage,
    VpcCniError,
)
from vpc_cni.kube import (
    NODES,
    PODS,
    ClusterAccess,
    KubeClient,
    Node,
    NodeCondition,
    Timing,
    Watcher,
    load_kubeconfig,
    own_node,
    own_pods,
)
from vpc_cni.lab.kubernetes.pki import Authority, Subject, signing_key
from vpc_cni.lab.kubernetes.tooling import find_binaries
from vpc_cni.model import PodIdentity, SandboxKey

PATIENCE = 60.0
FULL = CapacityError("subnet-1 is full", shortage=Shortage.SUBNET_FULL, hint="add a subnet")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Plane:
    """etcd and an API server that can be stopped and started again."""

    folder: Path
    programs: dict[str, str]
    port: int = field(default_factory=free_port)
    etcd_port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *flags: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.running[name] = subprocess.Popen([self.programs[name], *flags], stdout=log, stderr=log)

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait(20)

    def start_etcd(self) -> None:
        url = f"http://127.0.0.1:{self.etcd_port}"
        peers = f"http://127.0.0.1:{free_port()}"
        folder = f"--data-dir={self.folder}/etcd"
        clients = (f"--listen-client-urls={url}", f"--advertise-client-urls={url}")
        self.start("etcd", folder, *clients, f"--listen-peer-urls={peers}", "--unsafe-no-fsync")

    def start_api(self) -> None:
        folder = self.folder
        self.start(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            f"--tls-cert-file={folder}/api.crt",
            f"--tls-private-key-file={folder}/api.key",
            f"--client-ca-file={folder}/ca.crt",
            f"--service-account-key-file={folder}/accounts.key",
            f"--service-account-signing-key-file={folder}/accounts.key",
            "--service-account-issuer=https://tests.invalid",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            f"--cert-dir={folder}/api",
        )

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.kubectl("get", "--raw", "/readyz", check=False).returncode:
            assert time.monotonic() < deadline, (self.folder / "kube-apiserver.log").read_text()[-2000:]
            time.sleep(0.2)

    def kubectl(self, *words: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [self.programs["kubectl"], f"--kubeconfig={self.folder}/kubeconfig", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, input=stdin)
        assert not check or done.returncode == 0, done.stderr
        return done

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json").stdout)

    def apply(self, *documents: dict[str, Any]) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        self.kubectl("create", "-f", "-", stdin=text)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the keys of a cluster."""
    folder = tmp_path_factory.mktemp("plane")
    authority = Authority(datetime.datetime.now(datetime.UTC))
    api = authority.issue(Subject("kube-apiserver", addresses=(IPv4Address("127.0.0.1"),)))
    admin = authority.issue(Subject("admin", "system:masters"))
    (folder / "ca.crt").write_bytes(authority.pair.certificate)
    (folder / "api.crt").write_bytes(api.certificate)
    (folder / "api.key").write_bytes(api.key)
    (folder / "accounts.key").write_bytes(signing_key().key)
    (folder / "admin.crt").write_bytes(admin.certificate)
    (folder / "admin.key").write_bytes(admin.key)
    return folder


@pytest.fixture(scope="module")
def plane(keys: Path) -> Iterator[Plane]:
    folder = keys
    binaries, etcd, kubectl = find_binaries(), shutil.which("etcd"), shutil.which("kubectl")
    if binaries is None or etcd is None or kubectl is None:
        pytest.skip("no API server, etcd or kubectl here: vpc-cni lab kubernetes prepare gets them")
    made = Plane(folder, {"kube-apiserver": str(binaries.path("kube-apiserver")), "etcd": etcd, "kubectl": kubectl})
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "c", "cluster": {"server": f"https://127.0.0.1:{made.port}", "certificate-authority": "ca.crt"}}
        ],
        "users": [{"name": "u", "user": {"client-certificate": "admin.crt", "client-key": "admin.key"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (folder / "kubeconfig").write_text(json.dumps(kubeconfig))
    try:
        made.start_etcd()
        made.start_api()
        made.wait_until_ready()
        made.apply(*(node_document(name) for name in ("node-1", "node-2")))
        yield made
    finally:
        for name in list(made.running):
            made.stop(name)


def node_document(name: str) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "", **dict(TIMES)}]
    status = {"allocatable": {"pods": "29", "cpu": "2"}, "capacity": {"pods": "29", "cpu": "2"}}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "status": {**status, "conditions": conditions},
    }


TIMES = (("lastTransitionTime", "2026-01-01T00:00:00Z"), ("lastHeartbeatTime", "2026-01-01T00:00:00Z"))


def pod_document(name: str, node: str = "node-1") -> dict[str, Any]:
    containers = [{"name": "c", "image": "i"}]
    spec = {"nodeName": node, "containers": containers, "automountServiceAccountToken": False}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.fixture
def client(plane: Plane) -> Iterator[KubeClient]:
    made = KubeClient(load_kubeconfig(plane.folder / "kubeconfig"), timing=Timing(chance=lambda: 0.05))
    yield made
    made.timing.stopping.set()
    made.close()


def test_only_our_own_node_and_pods_are_read(plane: Plane, client: KubeClient) -> None:
    plane.apply(*(pod_document(f"p{number}") for number in range(205)), pod_document("other", "node-2"))
    assert [each.metadata.name for each in client.list(own_node("node-1")).items] == ["node-1"]
    pods = client.list(own_pods("node-1"))
    assert len({each.metadata.uid for each in pods.items}) == 205, "two pages"
    assert {each.spec.node_name for each in pods.items} == {"node-1"}
    assert pods.resource_version
    plane.kubectl("delete", "pods", "--all", "--grace-period=0", "--force", "--wait=false")


def test_annotations_reach_the_pod_that_is_meant(plane: Plane, client: KubeClient) -> None:
    plane.apply(pod_document("annotated"))
    uid = client.get(PODS, "annotated", namespace="default").metadata.uid
    client.patch_annotations(PODS, "annotated", {ANNOTATION: "10.0.0.9"}, namespace="default", uid=uid)
    assert plane.get("pod", "annotated")["metadata"]["annotations"][ANNOTATION] == "10.0.0.9"
    with pytest.raises(KubernetesConflictError):
        client.patch_annotations(PODS, "annotated", {ANNOTATION: "x"}, namespace="default", uid="another")
    client.patch_annotations(PODS, "annotated", {ANNOTATION: None}, namespace="default")
    assert ANNOTATION not in plane.get("pod", "annotated")["metadata"].get("annotations", {})
    with pytest.raises(KubernetesNotFoundError):
        client.patch_annotations(PODS, "absent", {ANNOTATION: "x"}, namespace="default")


def test_a_node_condition_stands_beside_the_others(plane: Plane, client: KubeClient) -> None:
    times = dict(TIMES)
    condition = NodeCondition(
        "NetworkUnavailable", "False", "Serving", "ok", times["lastTransitionTime"], times["lastHeartbeatTime"]
    )
    client.patch_node_condition("node-1", condition)
    found = {each["type"]: each["status"] for each in plane.get("node", "node-1")["status"]["conditions"]}
    assert found == {"Ready": "True", "NetworkUnavailable": "False"}


def test_the_agents_side_goes_through_a_restart_of_the_api_server(plane: Plane, client: KubeClient) -> None:
    plane.apply(pod_document("web"), pod_document("late"))
    asyncio.run(asyncio.wait_for(live_through_restart(plane, client), PATIENCE))
    # What happened while nobody listened was written when the server was back.
    assert plane.get("pod", "late")["metadata"]["annotations"][ANNOTATION] == "10.0.0.11"
    described = plane.kubectl("describe", "pod", "late").stdout
    assert "SubnetFull" in described
    assert "subnet-1 is full: add a subnet" in described
    (event,) = plane.get("events", "--field-selector", "reason=SubnetFull,involvedObject.name=late")["items"]
    assert (event["count"], event["source"]["host"], event["type"]) == (3, "node-1", "Warning")


async def live_through_restart(plane: Plane, client: KubeClient) -> None:
    pods: dict[SandboxKey, PodAddress] = {}
    views: asyncio.Queue[NodeView] = asyncio.Queue()
    side = ClusterSide(
        client,
        ClusterOptions("node-1", "", "kube-system", annotate_pods=True),
        pods=lambda: dict(pods),
        on_view=views.put_nowait,
        errors=ErrorsSeen(),
        clock=boottime,
    )
    side.start()
    assert await views.get() == NodeView(is_known=True, max_pods=29)
    await asyncio.to_thread(plane.kubectl, "cordon", "node-1")
    assert (await views.get()).unschedulable
    add_pod(pods, side, "web", "10.0.0.10")
    await annotated(plane, "web")

    plane.stop("kube-apiserver")
    add_pod(pods, side, "late", "10.0.0.11")
    for _ in range(3):
        side.pod_without_address(PodIdentity("default", "late"), FULL)
    assert side.node.unschedulable, "what was known stays"
    plane.start_api()
    await asyncio.to_thread(plane.wait_until_ready)
    await asyncio.to_thread(plane.kubectl, "uncordon", "node-1")
    assert not (await views.get()).unschedulable
    await annotated(plane, "late")
    while not plane.get("events", "--field-selector", "reason=SubnetFull")["items"]:
        await asyncio.sleep(0.2)
    await side.stop()


def add_pod(pods: dict[SandboxKey, PodAddress], side: ClusterSide, name: str, address: str) -> None:
    pods[SandboxKey("aws-cni", name, "eth0")] = PodAddress(PodIdentity("default", name), IPv4Address(address))
    side.pods_changed()


async def annotated(plane: Plane, name: str) -> None:
    while ANNOTATION not in plane.get("pod", name)["metadata"].get("annotations", {}):
        await asyncio.sleep(0.1)


def test_a_watch_from_before_the_restart_is_told_that_it_is_too_old(plane: Plane, client: KubeClient) -> None:
    plane.stop("kube-apiserver")
    plane.start_api()
    plane.wait_until_ready()
    listed: queue.Queue[int] = queue.Queue()
    watcher = Watcher(client, own_node("node-1"), Diary(listed))
    watcher._cursor = "1"  # as if it had slept since etcd began
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    try:
        assert listed.get(timeout=PATIENCE) == 1, "it lists again"
    finally:
        watcher.stop()
        thread.join(PATIENCE)
    assert not thread.is_alive()


class Diary:
    """Notes lists; a loss would be a failure of the test."""

    def __init__(self, listed: queue.Queue[int]) -> None:
        self._listed = listed

    def listed(self, items: Sequence[Node]) -> None:
        self._listed.put(len(items))

    def changed(self, item: Node) -> None:
        """Nothing changes here."""

    def deleted(self, item: Node) -> None:
        """Nothing is deleted here."""

    def lost(self, error: VpcCniError) -> None:
        raise AssertionError(error)

    def resumed(self) -> None:
        """The list tells it."""


def test_a_server_that_is_away_is_an_error_within_bounds(plane: Plane) -> None:
    away = KubeClient(
        ClusterAccess("https://127.0.0.1:1", ca_file=plane.folder / "ca.crt"), timing=Timing(chance=float)
    )
    started = time.monotonic()
    with pytest.raises(KubernetesError):
        away.get(NODES, "node-1")
    assert time.monotonic() - started < 5
