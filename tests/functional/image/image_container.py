"""Containers of the image, run by runc with what a kubelet would give them and nothing more."""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUNC = "/usr/sbin/runc"
_MOUNTS: list[dict[str, Any]] = [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro", "nosuid", "noexec", "nodev"]},
]
# As containerd hides them from containers that are not privileged.
_READ_ONLY = ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"]


@dataclass(frozen=True)
class Image:
    """An image of the archive: its configuration, and its files unpacked."""

    name: str
    config: Mapping[str, Any]
    root: Path


def read_archive(archive: Path, folder: Path) -> list[Image]:
    """Unpack an OCI archive whose images share their files."""
    (folder / "oci").mkdir()
    subprocess.run(["/usr/bin/tar", "-xf", archive, "-C", folder / "oci"], check=True)
    blobs = folder / "oci" / "blobs" / "sha256"
    images, root = [], folder / "root"
    for entry in json.loads((folder / "oci" / "index.json").read_text())["manifests"]:
        manifest = json.loads((blobs / entry["digest"][7:]).read_text())
        config = json.loads((blobs / manifest["config"]["digest"][7:]).read_text())["config"]
        images.append(Image(entry["annotations"]["org.opencontainers.image.ref.name"], config, root))
        if not root.exists():
            root.mkdir()
            for layer in manifest["layers"]:
                subprocess.run(["/usr/bin/tar", "-xzf", blobs / layer["digest"][7:], "-C", root], check=True)
    return images


@dataclass(frozen=True)
class Container:
    """How a container runs; each ``run`` is one of its own.

    Args:
        mounts: folders of this machine by their path in the container, writable.
        capabilities: as in ``CAP_NET_ADMIN``; none by default.
        netns_path: the network namespace; empty for one of its own.
    """

    image: Image
    folder: Path
    mounts: Mapping[str, Path]
    environ: Mapping[str, str]
    capabilities: Sequence[str] = ()
    netns_path: str = ""

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command, by default the entry point, to its end."""
        with self._bundle(command) as (name, bundle):
            return subprocess.run(
                [RUNC, "run", "--bundle", str(bundle), name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )

    @contextmanager
    def running(self) -> Iterator[str]:
        """Start the entry point; yield the container's name; kill it."""
        with self._bundle(()) as (name, bundle), (bundle / "log").open("w") as log:
            process = subprocess.Popen(
                [RUNC, "run", "--bundle", str(bundle), name], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            try:
                yield name
            finally:
                subprocess.run([RUNC, "kill", name, "KILL"], check=False, capture_output=True)
                process.wait(timeout=20)

    def execute(self, name: str, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in a running container, as an exec probe does."""
        return subprocess.run([RUNC, "exec", name, *command], capture_output=True, text=True, check=False, timeout=30)

    @contextmanager
    def _bundle(self, command: Sequence[str]) -> Iterator[tuple[str, Path]]:
        name = f"image-test-{os.getpid()}-{secrets.token_hex(4)}"
        bundle = self.folder / name
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(self._spec(command)))
        try:
            yield name, bundle
        finally:
            subprocess.run([RUNC, "delete", "--force", name], check=False, capture_output=True)

    def _spec(self, command: Sequence[str]) -> dict[str, Any]:
        config = self.image.config
        environ = [*config["Env"], *(f"{name}={value}" for name, value in self.environ.items())]
        network = {"type": "network", **({"path": self.netns_path} if self.netns_path else {})}
        sets = ("bounding", "effective", "permitted")
        binds = [
            {"destination": target, "type": "bind", "source": str(source), "options": ["bind", "rw"]}
            for target, source in self.mounts.items()
        ]
        return {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": list(command or config["Entrypoint"]),
                "env": environ,
                "cwd": config["WorkingDir"],
                "capabilities": {kind: list(self.capabilities) for kind in sets},
                "noNewPrivileges": True,
            },
            "root": {"path": str(self.image.root), "readonly": True},
            "mounts": [*_MOUNTS, *binds],
            "linux": {
                "namespaces": [*({"type": kind} for kind in ("pid", "ipc", "uts", "mount")), network],
                "readonlyPaths": _READ_ONLY,
            },
        }
