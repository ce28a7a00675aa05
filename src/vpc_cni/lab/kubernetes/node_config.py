"""Configuration of a node's containerd, kubelet and kube-proxy. Pure.

Source: containerd 1.6 docs/cri/config.md; KubeletConfiguration v1beta1 and KubeProxyConfiguration v1alpha1 of
Kubernetes 1.20.
"""

import json
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from vpc_cni.lab.kubernetes.cgroups import node_group
from vpc_cni.lab.kubernetes.images import PAUSE_IMAGE
from vpc_cni.lab.kubernetes.paths import NodeFiles
from vpc_cni.lab.kubernetes.shape import ClusterShape

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
PLUGIN_DIR = "/opt/cni/bin"
CONF_DIR = "/etc/cni/net.d"
# What kubelet sets on the whole machine, at the values that it wants: it then leaves them alone.
# Source: pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables.
KUBELET_PARAMETERS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the cluster knows of a node before it is up."""

    name: str
    address: IPv4Address
    instance_id: str
    instance_type: str
    zone: str
    max_pods: int

    @property
    def provider_id(self) -> str:
        return f"aws:///{self.zone}/{self.instance_id}"


def containerd_config() -> str:
    """Return the configuration; the snapshotters that probe for kernel modules are off."""
    disabled = ", ".join(f'"io.containerd.snapshotter.v1.{name}"' for name in ("aufs", "btrfs", "devmapper", "zfs"))
    return f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [{disabled}]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGIN_DIR}"
    conf_dir = "{CONF_DIR}"
"""


def kubelet_config(facts: NodeFacts, files: NodeFiles, shape: ClusterShape) -> str:
    document = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(files.config / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(files.config / "kubelet.crt"),
        "tlsPrivateKeyFile": str(files.config / "kubelet.key"),
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": True,
        "cgroupRoot": node_group(shape.lab, facts.name),
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "readOnlyPort": 0,
        "maxPods": facts.max_pods,
        "clusterDomain": "cluster.local",
        # Nobody answers there until somebody installs a DNS server; without it every pod start is a warning event.
        "clusterDNS": [str(shape.services[10])],
        "resolvConf": "",
        # The machine's disk is its owner's business: a lab neither evicts for it nor collects what was imported.
        "evictionHard": {"memory.available": "32Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "kubeAPIQPS": 50,
        "kubeAPIBurst": 100,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "nodeStatusUpdateFrequency": "4s",
        "shutdownGracePeriod": "0s",
    }
    return json.dumps(document, indent=1)


def kubelet_command(program: Path, facts: NodeFacts, files: NodeFiles, *, names_runtime: bool) -> list[str]:
    """Return the command line.

    Args:
        names_runtime: releases before 1.27 must be told that containerd is not docker; later ones refuse the flag.
    """
    labels = f"node.kubernetes.io/instance-type={facts.instance_type},topology.kubernetes.io/zone={facts.zone}"
    return [
        str(program),
        f"--config={files.config}/kubelet.json",
        f"--kubeconfig={files.config}/kubelet.kubeconfig",
        f"--hostname-override={facts.name}",
        f"--node-ip={facts.address}",
        f"--provider-id={facts.provider_id}",
        f"--node-labels={labels}",
        *(["--container-runtime=remote"] if names_runtime else []),
        f"--container-runtime-endpoint=unix://{CONTAINERD_SOCKET}",
        "--root-dir=/var/lib/kubelet",
        "--cert-dir=/var/lib/kubelet/pki",
    ]


def proxy_config(facts: NodeFacts, files: NodeFiles) -> str:
    document = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        # With an address of the node kube-proxy need not ask the API for it, which takes up to 16 s at the start.
        "bindAddress": str(facts.address),
        "hostnameOverride": facts.name,
        "clusterCIDR": "",  # as on EKS: pods have addresses of the VPC, no block of their own
        "clientConnection": {"kubeconfig": f"{files.config}/proxy.kubeconfig", "qps": 50, "burst": 100},
        # Only the machine's first network namespace may change the size of its table.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "iptables": {"syncPeriod": "30s", "minSyncPeriod": "0s"},
        "metricsBindAddress": "127.0.0.1:10249",
        "healthzBindAddress": f"{facts.address}:10256",
    }
    return json.dumps(document, indent=1)
