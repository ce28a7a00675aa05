"""Where a lab's cluster keeps its files: below the lab's run folder, so that they end with it. Pure."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ClusterPaths:
    """Files of the control plane and of whoever uses the cluster.

    Args:
        root: a folder of the lab's run folder.
    """

    root: Path

    @property
    def kubeconfig(self) -> Path:
        """For people: the cluster's administrator, by a port of this machine."""
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def log_dir(self) -> Path:
        return self.root / "log"

    @property
    def images(self) -> Path:
        """Archives of images that the lab has made for its nodes."""
        return self.root / "images"

    @property
    def state(self) -> Path:
        """Mount point of a tmpfs that only the lab's process and its children have: etcd's data."""
        return self.root / "state"

    def log(self, program: str) -> Path:
        return self.log_dir / f"{program}.log"

    def certificate(self, name: str) -> Path:
        return self.pki / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.pki / f"{name}.key"

    def user_config(self, name: str) -> Path:
        return self.pki / f"{name}.kubeconfig"


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """Files of one node's kubelet, kube-proxy and containerd.

    Args:
        root: a folder below the lab node's own.
    """

    root: Path
    log_dir: Path

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def state(self) -> Path:
        """Mount point of a tmpfs that only the lab's process and its children have; survives the node's processes."""
        return self.root / "state"

    @property
    def programs(self) -> Path:
        """Folder of links ``iptables*`` to the chosen backend; first in the path of the node's programs."""
        return self.root / "programs"

    @property
    def plan(self) -> Path:
        return self.config / "plan.json"

    def log(self, program: str) -> Path:
        return self.log_dir / f"{program}.log"
