"""Control groups of a lab's nodes: one folder for each node in every hierarchy, so that nothing of kubelet lies beside.

Source: kernel documentation, admin-guide/cgroup-v1/cpusets.rst (a new set is empty) and cgroup-v2.rst (controllers are
handed down by ``cgroup.subtree_control``).
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vpc_cni.errors import HostError

CGROUP_ROOT = Path("/sys/fs/cgroup")
BASE = "vpc-cni-lab"
CPUSET_FILES = ("cpuset.cpus", "cpuset.mems")
REMOVE_SECONDS = 5.0
POLL_SECONDS = 0.02


def node_group(lab: str, node: str) -> str:
    """Return the path of a node's group inside each hierarchy, as kubelet's ``cgroupRoot`` wants it."""
    return f"/{BASE}/{lab}/{node}"


def create_group(group: str, root: Path = CGROUP_ROOT) -> None:
    """Make a group usable in every hierarchy. May be repeated.

    Raises:
        HostError: the hierarchies are read-only or not there.
    """
    try:
        found = list(_hierarchies(root))
        if not found:
            raise HostError(f"{root} has no control groups", hint="mount them, as systemd and container hosts do")
        for hierarchy in found:
            _create(hierarchy, group)
    except OSError as err:
        raise HostError(f"cannot make the control group {group}: {err}") from err


def remove_groups(lab: str, root: Path = CGROUP_ROOT, timeout_seconds: float = REMOVE_SECONDS) -> bool:
    """Remove all groups of a lab; waits for processes that are ending. True when nothing is left."""
    deadline = time.monotonic() + timeout_seconds
    while not all([_remove(hierarchy / BASE / lab) for hierarchy in _hierarchies(root)]):  # noqa: C419 - try all
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    for hierarchy in _hierarchies(root):
        with suppress(OSError):  # other labs have theirs
            (hierarchy / BASE).rmdir()
    return True


def _hierarchies(root: Path) -> Iterator[Path]:
    """Yield the root of each hierarchy: the one of version 2, or every controller's of version 1."""
    if (root / "cgroup.controllers").is_file():
        yield root
        return
    seen = set()
    for entry in sorted(root.iterdir()) if root.is_dir() else ():
        # Controllers that share a hierarchy have links to it.
        if (entry / "cgroup.procs").is_file() and entry.resolve() not in seen:
            seen.add(entry.resolve())
            yield entry


def _create(hierarchy: Path, group: str) -> None:
    folder = hierarchy
    for part in group.strip("/").split("/"):
        _hand_down_controllers(folder)
        parent, folder = folder, folder / part
        folder.mkdir(exist_ok=True)
        _copy_cpuset(parent, folder)


def _hand_down_controllers(folder: Path) -> None:
    controllers = folder / "cgroup.controllers"
    if controllers.is_file():
        for name in controllers.read_text().split():
            with suppress(OSError):  # one that is refused here would be refused to kubelet, which says so
                (folder / "cgroup.subtree_control").write_text(f"+{name}")


def _copy_cpuset(parent: Path, folder: Path) -> None:
    if (parent / "cgroup.controllers").is_file():
        return  # version 2 inherits
    for name in CPUSET_FILES:
        if (folder / name).is_file() and not (folder / name).read_text().strip():
            (folder / name).write_text((parent / name).read_text())


def _remove(folder: Path) -> bool:
    """Remove a tree of groups, deepest first; True when it is gone."""
    for path, _folders, _files in os.walk(folder, topdown=False):
        with suppress(OSError):
            os.rmdir(path)
    return not folder.exists()
