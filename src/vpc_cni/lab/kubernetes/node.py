"""One Kubernetes node: containerd, kubelet and kube-proxy around a node of the lab, in namespaces of their own."""

import asyncio
import json
import os
import select
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.lab import mounts
from vpc_cni.lab.kubernetes import node_config, node_init, node_start
from vpc_cni.lab.kubernetes.cgroups import create_group, node_group
from vpc_cni.lab.kubernetes.control_plane import PROXY_USER
from vpc_cni.lab.kubernetes.credentials import Credentials, write_secret
from vpc_cni.lab.kubernetes.node_config import NodeFacts
from vpc_cni.lab.kubernetes.paths import NodeFiles
from vpc_cni.lab.kubernetes.program import Program
from vpc_cni.lab.kubernetes.shape import ClusterShape, ProxyBackend
from vpc_cni.lab.kubernetes.tooling.finder import Binaries
from vpc_cni.lab.kubernetes.tooling.programs import SEARCH_PATH, require_program
from vpc_cni.lab.paths import LabPaths, NodePaths

STATE_OPTIONS = "mode=0755"
STOP_SECONDS = 10.0


class KubernetesNode:
    """Owns the namespaces and programs of one node; networking and agent are the lab node's.

    Args:
        lab_paths: of the lab; ``netns_path`` of the node, as this process sees it.
    """

    def __init__(
        self,
        facts: NodeFacts,
        shape: ClusterShape,
        lab_paths: LabPaths,
        netns_path: Path,
        binaries: Binaries,
    ) -> None:
        self.facts = facts
        self.is_on = False
        self._shape = shape
        self._lab_paths = lab_paths
        self._node_paths = lab_paths.node(facts.name)
        self.files = NodeFiles(self._node_paths.root / "kubernetes", self._node_paths.log_dir)
        self._binaries = binaries
        command = [sys.executable, "-I", "-S", str(node_start.__file__), str(netns_path), str(os.getpid())]
        command += [str(node_init.__file__), str(self.files.plan)]
        self._program = Program(f"node {facts.name}", command, {"PATH": SEARCH_PATH}, self.files.log("node"))

    @property
    def init_pid(self) -> int | None:
        """Process 1 of the node, as this machine counts; None when the node is off."""
        pid = self._program.pid
        if pid is None:
            return None
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None

    def prepare(self, credentials: Credentials, images: Iterable[Path]) -> None:
        """Write configuration and credentials, and give the node memory for its state.

        Raises:
            HostError: control groups or mounts are refused.
        """
        self.files.config.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.files.state.mkdir(parents=True, exist_ok=True)
        if not self.files.state.is_mount():
            mounts.mount_tmpfs(self.files.state, STATE_OPTIONS)
        create_group(node_group(self._shape.lab, self.facts.name))
        link_iptables(self.files.programs, self._shape.proxy_backend)
        self._write_configuration()
        self._write_credentials(credentials)
        self.files.plan.write_text(json.dumps(self._plan(map(self._within_reach, images)), indent=1))

    async def start(self) -> None:
        """Switch the node on; returns when its process 1 has been started."""
        await self._program.start()
        self.is_on = True

    async def stop(self) -> None:
        """Switch the node off like a power cut; its state stays. Returns when all its processes are gone."""
        self.is_on = False
        ended = self._watch_init()
        await self._program.kill()
        if ended is not None:
            # Process 1 of a namespace ends after all others in it.
            await asyncio.to_thread(select.select, [ended], [], [], STOP_SECONDS)
            os.close(ended)

    async def discard(self) -> None:
        """Switch the node off for good."""
        await self.stop()
        if self.files.state.is_mount():
            mounts.detach(self.files.state)

    async def import_image(self, archive: Path) -> None:
        """Import an archive of images into the node's containerd.

        Raises:
            HostError: the node is off, or containerd refuses it.
        """
        root = self.root()
        if root is None:
            raise HostError(f"{self.facts.name} is off")
        command = self._import_command(f"{root}{node_config.CONTAINERD_SOCKET}", archive)
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
        if process.returncode != 0:
            raise HostError(f"{self.facts.name} cannot import {archive}: {said.decode(errors='replace').strip()}")

    def require_running(self) -> None:
        """Raises HostError when the node has ended by itself."""
        if self.is_on:
            self._program.require_running()

    def _watch_init(self) -> int | None:
        """Return a descriptor that becomes readable when process 1 has ended; None when it is gone."""
        pid = self.init_pid
        try:
            return os.pidfd_open(pid) if pid is not None else None
        except ProcessLookupError:
            return None

    def root(self) -> Path | None:
        """Return a path by which this machine sees the node's files; None when it is off."""
        pid = self.init_pid
        return Path(f"/proc/{pid}/root") if pid is not None else None

    def _within_reach(self, archive: Path) -> Path:
        """Return a path of an archive that the node can read: of the lab's folder it sees its own part only."""
        if not archive.is_relative_to(self._lab_paths.root):
            return archive
        own = self.files.root / "images" / archive.name
        own.parent.mkdir(exist_ok=True)
        own.unlink(missing_ok=True)
        own.hardlink_to(archive)
        return own

    def _write_configuration(self) -> None:
        texts = {
            "containerd.toml": node_config.containerd_config(),
            "kubelet.json": node_config.kubelet_config(self.facts, self.files, self._shape),
            "proxy.json": node_config.proxy_config(self.facts, self.files),
        }
        for name, text in texts.items():
            (self.files.config / name).write_text(text)

    def _write_credentials(self, credentials: Credentials) -> None:
        config = self.files.config
        kubelet, proxy = credentials.kubelet(self.facts.name, self.facts.address), credentials.proxy()
        (config / "ca.crt").write_bytes(credentials.authority)
        (config / "kubelet.crt").write_bytes(kubelet.certificate)
        write_secret(config / "kubelet.key", kubelet.key)
        user = f"system:node:{self.facts.name}"
        write_secret(config / "kubelet.kubeconfig", credentials.node_config(kubelet, user))
        write_secret(config / "proxy.kubeconfig", credentials.node_config(proxy, PROXY_USER))

    def _plan(self, images: Iterable[Path]) -> dict[str, object]:
        """Return what process 1 shall do; see `node_init`."""
        state = self.files.state
        return {
            "hostname": self.facts.name,
            "root": str(self._node_paths.root),
            "lab_root": str(self._lab_paths.root),
            "state": str(state),
            "binds": node_binds(self._node_paths, state),
            "kernel_parameters": node_config.KUBELET_PARAMETERS,
            "environment": self._environment(),
            "programs": self._programs(images),
        }

    def _environment(self) -> Mapping[str, str]:
        return {
            "PATH": f"{self.files.programs}:{SEARCH_PATH}",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            # kubelet's own credential provider for a registry would wait for metadata.
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _programs(self, images: Iterable[Path]) -> list[dict[str, object]]:
        config, socket = self.files.config, node_config.CONTAINERD_SOCKET
        containerd = [str(require_program("containerd")), f"--config={config}/containerd.toml"]
        kubelet = node_config.kubelet_command(
            self._binaries.path("kubelet"), self.facts, self.files, names_runtime=self._binaries.is_older_than(1, 27)
        )
        proxy = [str(self._binaries.path("kube-proxy")), f"--config={config}/proxy.json"]
        return [
            self._entry("containerd", containerd, ready=socket),
            *(self._entry("images", self._import_command(socket, archive), once=True) for archive in images),
            self._entry("kubelet", kubelet),
            self._entry("kube-proxy", proxy),
        ]

    def _import_command(self, address: str, archive: Path) -> list[str]:
        return [
            str(require_program("ctr")),
            f"--address={address}",
            "--namespace=k8s.io",
            "images",
            "import",
            str(archive),
        ]

    def _entry(self, name: str, command: list[str], *, once: bool = False, ready: str = "") -> dict[str, object]:
        return {"name": name, "command": command, "once": once, "ready": ready, "log": str(self.files.log(name))}


def link_iptables(folder: Path, backend: ProxyBackend) -> None:
    """Fill a folder with links by which ``iptables`` and its companions are those of one backend."""
    folder.mkdir(parents=True, exist_ok=True)
    for family in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            link = folder / f"{family}{suffix}"
            link.unlink(missing_ok=True)
            link.symlink_to(require_program(f"{family}-{backend}{suffix}"))


def node_binds(paths: NodePaths, state: Path) -> list[tuple[str, str]]:
    """Return which folders a node shows where: the lab's plugins, and memory where overlays must not stack. Pure."""
    return [
        (str(paths.plugin_dir), node_config.PLUGIN_DIR),
        (str(paths.conf_dir), node_config.CONF_DIR),
        (str(state / "kubelet"), "/var/lib/kubelet"),
        (str(state / "containerd"), "/var/lib/containerd"),
    ]
