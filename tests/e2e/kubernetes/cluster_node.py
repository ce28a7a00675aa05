"""What is on a node of a lab's cluster: files, processes, pods' namespaces, sandboxes."""

import re
from ipaddress import IPv4Address
from pathlib import Path

from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.pod_namespaces import open_pod_namespaces


def node_file(lab: Lab, node: str, path: str) -> Path:
    """Return where this machine sees a file of a node."""
    init = next(each["init_pid"] for each in lab.kubernetes.status["nodes"] if each["name"] == node)
    return Path(f"/proc/{init}/root{path}")


def agent_pid(lab: Lab, node: str) -> str:
    """Return the number of the agent's process in the DaemonSet's pod, as the node counts."""
    return lab.kubernetes.run(node, ["pgrep", "-xf", ".*python -I /app/aws-vpc-cni *"]).stdout.strip()


def read_process(lab: Lab, node: str, file: str) -> str:
    """Return a file of the agent's process."""
    return lab.kubernetes.run(node, ["cat", f"/proc/{agent_pid(lab, node)}/{file}"]).stdout


def pod_routes(lab: Lab, node: str) -> set[str]:
    """Return the addresses of the pods that a node has routes to."""
    return set(re.findall(r"^(\S+) dev eni", lab.run(node, ["ip", "route"]).stdout, re.MULTILINE))


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


def kill_sandbox(lab: Lab, node: str, pod: str) -> None:
    """End a pod's sandbox behind kubelet's back: it then runs DEL and ADD by itself."""
    labels = f'labels."io.kubernetes.pod.name"=={pod},labels."io.cri-containerd.kind"==sandbox'
    listed = lab.kubernetes.run(node, ["ctr", "-n", "k8s.io", "containers", "ls", "-q", labels]).stdout.split()
    tasks = lab.kubernetes.run(node, ["ctr", "-n", "k8s.io", "tasks", "ls"]).stdout.splitlines()
    alive = {line.split()[0] for line in tasks if line.split()[-1] == "RUNNING"}
    (sandbox,) = alive & set(listed)  # kubelet keeps an ended one for a moment
    done = lab.kubernetes.run(node, ["ctr", "-n", "k8s.io", "tasks", "kill", "-s", "9", sandbox])
    assert done.returncode == 0, done.stderr
