"""A cluster goes without a trace after a crash, and nodes without the lab's agents wait for a DaemonSet."""

import json
import os
import signal
from pathlib import Path

import pytest
from cluster_objects import wait_until
from lab_traces import Traces, parameters

from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.images import ECHO_IMAGE

pytestmark = pytest.mark.usefixtures("kubernetes_programs")


def start_pods(lab: Lab) -> None:
    created = lab.kubernetes.kubectl("create", "deployment", "web", "--image=localhost/echo:lab", "--replicas=4")
    assert created.returncode == 0, created.stderr
    done = lab.kubernetes.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert done.returncode == 0, done.stderr


def test_a_killed_lab_leaves_no_process_and_the_next_down_removes_the_rest() -> None:
    name = f"k8s-crash-{os.getpid() % 10000}"
    before = parameters()
    lab = Lab(name=name, kubernetes=True)
    try:
        lab.up()
        start_pods(lab)
        traces = Traces.of(name)
        # Control plane, two nodes, four pods; programs and shims of all of them.
        assert len(traces.namespaces) >= 7
        assert len(traces.processes) > 15
        os.kill(lab.pid, signal.SIGKILL)
        traces.assert_ended()
        assert parameters() == before
    finally:
        lab.down()
    traces.assert_gone()


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
