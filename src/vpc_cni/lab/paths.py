"""Where a lab keeps its files. Pure.

Everything of a lab is below one run folder, so that `lab down` removes one folder and a crash leaves one folder.
The namespace files are inside it too, on a tmpfs that only the daemon's mount namespace has.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vpc_cni.errors import CallerError

ROOT_BASE = Path("/run/vpc-cni-lab")
# A unix socket path has at most 107 bytes; the longest of ours is below a node's run folder.
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,23}")


@dataclass(frozen=True, slots=True)
class NodePaths:
    """Folders and files of one node."""

    root: Path

    @property
    def plugin_dir(self) -> Path:
        return self.root / "cni-bin"

    @property
    def conf_dir(self) -> Path:
        return self.root / "cni-conf"

    @property
    def conflist(self) -> Path:
        return self.conf_dir / "10-aws.conflist"

    @property
    def run_dir(self) -> Path:
        return self.root / "run"

    @property
    def socket(self) -> Path:
        return self.run_dir / "vpc-cni.sock"

    @property
    def cache_dir(self) -> Path:
        return self.root / "results"

    @property
    def log_dir(self) -> Path:
        return self.root / "log"

    @property
    def agent_log(self) -> Path:
        return self.log_dir / "agent.log"


@dataclass(frozen=True, slots=True)
class LabPaths:
    """Folders and files of one lab."""

    base: Path
    name: str

    @property
    def root(self) -> Path:
        return self.base / self.name

    @property
    def lock(self) -> Path:
        """Held by the daemon as long as it lives. Beside the run folder, which comes and goes."""
        return self.base / f".{self.name}.lock"

    @property
    def state_file(self) -> Path:
        return self.root / "state.json"

    @property
    def control_socket(self) -> Path:
        return self.root / "control.sock"

    @property
    def log_file(self) -> Path:
        return self.root / "daemon.log"

    @property
    def namespaces(self) -> Path:
        """Mount point of the private tmpfs; an empty folder as seen from outside."""
        return self.root / "ns"

    @property
    def nodes(self) -> Path:
        return self.root / "nodes"

    def node(self, node_name: str) -> NodePaths:
        return NodePaths(self.nodes / node_name)


def default_base(environment: Mapping[str, str], uid: int) -> Path:
    """Return the folder that holds the run folders of all labs of this user."""
    chosen = environment.get("VPC_CNI_LAB_DIR")
    if chosen:
        return Path(chosen)
    if uid == 0:
        return ROOT_BASE
    return Path(environment.get("XDG_RUNTIME_DIR") or f"/tmp/vpc-cni-lab-{uid}") / "vpc-cni-lab"  # noqa: S108


def lab_paths(name: str, environment: Mapping[str, str] | None = None, uid: int | None = None) -> LabPaths:
    """Return the paths of the lab of this name.

    Raises:
        CallerError: the name is not usable as a folder and socket name.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise CallerError(
            f'lab name "{name}" is not valid', hint="use 1 to 24 of a-z, 0-9 and -, starting with a letter or digit"
        )
    base = default_base(os.environ if environment is None else environment, os.geteuid() if uid is None else uid)
    return LabPaths(base, name)
