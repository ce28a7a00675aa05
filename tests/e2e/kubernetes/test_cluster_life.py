"""A cluster comes up and goes without a trace: with either iptables, after a crash, and without the lab's agents."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.cgroups import BASE, CGROUP_ROOT
from vpc_cni.lab.kubernetes.images import ECHO_IMAGE
from vpc_cni.lab.kubernetes.node_config import KUBELET_PARAMETERS
from vpc_cni.lab.paths import lab_paths

pytestmark = pytest.mark.usefixtures("kubernetes_programs")

READY_SECONDS = 90.0


def wait_until(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.05)


def parameters() -> dict[str, str]:
    return {name: Path("/proc/sys", name).read_text() for name in KUBELET_PARAMETERS}


def groups(name: str) -> list[Path]:
    return list(CGROUP_ROOT.glob(f"*/{BASE}/{name}")) + list(CGROUP_ROOT.glob(f"{BASE}/{name}"))


def members(name: str) -> set[int]:
    """Return the processes of a lab: those in its control groups and those with its folder in their command line."""
    found = {
        int(pid) for group in groups(name) for path in group.rglob("cgroup.procs") for pid in path.read_text().split()
    }
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if re.search(rb"vpc-cni-lab/%s/" % name.encode(), words):
            found.add(int(path.parent.name))
    return found


def namespaces(processes: set[int]) -> set[int]:
    """Return the network namespaces of these processes, without the machine's own."""
    found = set()
    for pid in processes:
        try:
            found.add(Path(f"/proc/{pid}/ns/net").stat().st_ino)
        except OSError:
            continue
    return found - {Path("/proc/self/ns/net").stat().st_ino}


def namespaces_in_use() -> set[int]:
    return namespaces({int(path.name) for path in Path("/proc").glob("[0-9]*")})


def start_pods(lab: Lab) -> None:
    created = lab.kubernetes.kubectl("create", "deployment", "web", "--image=localhost/echo:lab", "--replicas=4")
    assert created.returncode == 0, created.stderr
    done = lab.kubernetes.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_a_lab_is_ready_in_time_works_and_leaves_nothing(backend: str) -> None:
    name = f"k8s-life-{backend}-{os.getpid() % 10000}"
    before = parameters()
    lab = Lab(name=name, kubernetes=True, proxy_backend=backend, env={"IP_COOLDOWN_PERIOD": "1"})
    started = time.monotonic()
    with lab:
        assert time.monotonic() - started < READY_SECONDS
        report = lab.check()
        assert report.failures() == []
        saved = lab.kubernetes.run("node-1", ["iptables-save", "-t", "nat"]).stdout
        assert "KUBE-SVC" in saved
        assert ("legacy" in lab.kubernetes.run("node-1", ["iptables", "-V"]).stdout) == (backend == "legacy")
        start_pods(lab)
        processes = members(name)
        used = namespaces(processes)
        # Control plane, two nodes, four pods; programs and shims of all of them.
        assert len(used) >= 7
        assert len(processes) > 15
        assert parameters() == before
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), "the end of the processes")
    assert groups(name) == []
    assert not lab_paths(name).root.exists()
    assert name not in Path("/proc/self/mountinfo").read_text()
    wait_until(lambda: not used & namespaces_in_use(), "the end of the namespaces")
    assert parameters() == before


def test_a_killed_lab_leaves_no_process_and_the_next_down_removes_the_rest() -> None:
    name = f"k8s-crash-{os.getpid() % 10000}"
    before = parameters()
    lab = Lab(name=name, kubernetes=True)
    try:
        lab.up()
        start_pods(lab)
        processes = members(name)
        used = namespaces(processes)
        os.kill(lab.pid, signal.SIGKILL)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), "the end of the processes")
        wait_until(lambda: not used & namespaces_in_use(), "the end of the namespaces")
        assert name not in Path("/proc/self/mountinfo").read_text()
        assert parameters() == before
    finally:
        lab.down()
    assert groups(name) == []
    assert not lab_paths(name).root.exists()


# What an add-on's DaemonSet does on a node: files of the host, the host's network, namespaces of pods that start later.
INSTALLER = """
set -e
cp /src/conflist /host/cni/10-ptp.conflist
touch /host/run/was-here
ip -o link
until ls /host/netns | grep cni-; do sleep 0.2; done
sleep 3600
"""
CONFLIST = {
    "cniVersion": "0.4.0",
    "name": "installed",
    "plugins": [
        {
            "type": "ptp",
            "ipam": {"type": "host-local", "subnet": "10.200.0.0/24", "dataDir": "/run/host-local"},
        }
    ],
}


def host_path(path: str, kind: str) -> dict[str, dict[str, str]]:
    return {"hostPath": {"path": path, "type": kind}}


def installer() -> str:
    """Return the objects of a DaemonSet that brings a network to its node."""
    mounts = [
        {"name": "cni", "mountPath": "/host/cni"},
        {"name": "run", "mountPath": "/host/run"},
        {"name": "netns", "mountPath": "/host/netns", "mountPropagation": "HostToContainer"},
        {"name": "files", "mountPath": "/src"},
    ]
    volumes = [
        {"name": "cni", **host_path("/etc/cni/net.d", "")},
        {"name": "run", **host_path("/var/run/installer", "DirectoryOrCreate")},
        {"name": "netns", **host_path("/var/run/netns", "DirectoryOrCreate")},
        {"name": "files", "configMap": {"name": "files"}},
    ]
    container = {
        "name": "main",
        "image": ECHO_IMAGE,
        "command": ["/bin/sh", "-c", INSTALLER],
        "imagePullPolicy": "Never",
        "securityContext": {"privileged": True},
        "volumeMounts": mounts,
    }
    pod = {
        "hostNetwork": True,
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "volumes": volumes,
    }
    labels = {"app": "installer"}
    daemonset = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "installer"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }
    files = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "files"},
        "data": {"conflist": json.dumps(CONFLIST)},
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [files, daemonset]})


def test_nodes_without_the_labs_agents_wait_for_a_daemonset() -> None:
    name = f"k8s-bare-{os.getpid() % 10000}"
    with Lab(name=name, nodes=1, kubernetes=True, agents=False) as lab:
        shown = lab.kubernetes.kubectl("get", "nodes", "-o=jsonpath={.items[*].status.conditions[-1:].message}").stdout
        assert "cni" in shown.lower()
        assert not (Path(lab.node("node-1").plugin_dir) / "aws-cni").exists()
        assert lab.run("node-1", ["cat", "/proc/sys/net/ipv4/conf/ens5/rp_filter"]).stdout == "1\n"
        assert lab.run("node-1", ["cat", "/proc/sys/net/ipv4/ip_forward"]).stdout == "1\n"
        applied = lab.kubernetes.kubectl("apply", "-f=-", stdin=installer())
        assert applied.returncode == 0, applied.stderr
        wait_until(lambda: lab.kubernetes.status["nodes"][0]["ready"], "Ready by the DaemonSet", 40)
        assert lab.kubernetes.run("node-1", ["ls", "/run/installer"]).stdout == "was-here\n"
        start_pods(lab)

        def said() -> str:
            return lab.kubernetes.kubectl("logs", "daemonset/installer").stdout

        wait_until(lambda: "cni-" in said(), "the pods' namespaces inside the container")
        assert "ens5" in said()
        assert not Path("/run/installer").exists()
