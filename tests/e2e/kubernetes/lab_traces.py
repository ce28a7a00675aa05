"""What a lab has on this machine, so that a test can tell afterwards whether all of it is gone."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster_objects import wait_until

from vpc_cni.lab.kubernetes.cgroups import BASE, CGROUP_ROOT
from vpc_cni.lab.kubernetes.node_config import KUBELET_PARAMETERS
from vpc_cni.lab.paths import lab_paths


def parameters() -> dict[str, str]:
    """Return the kernel parameters that a kubelet wants to have: those of the machine may not change."""
    return {name: Path("/proc/sys", name).read_text() for name in KUBELET_PARAMETERS}


def links() -> set[str]:
    """Return the links of the machine's own network."""
    return {path.name for path in Path("/sys/class/net").iterdir()}


def groups(name: str) -> list[Path]:
    """Return a lab's control groups."""
    return list(CGROUP_ROOT.glob(f"*/{BASE}/{name}")) + list(CGROUP_ROOT.glob(f"{BASE}/{name}"))


def processes(name: str) -> set[int]:
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


def namespaces(pids: Iterable[int]) -> set[int]:
    """Return the network namespaces of these processes, without the machine's own."""
    found = set()
    for pid in pids:
        try:
            found.add(Path(f"/proc/{pid}/ns/net").stat().st_ino)
        except OSError:
            continue
    return found - {Path("/proc/self/ns/net").stat().st_ino}


def namespaces_in_use() -> set[int]:
    return namespaces(int(path.name) for path in Path("/proc").glob("[0-9]*"))


@dataclass(frozen=True)
class Traces:
    """A running lab's processes and network namespaces."""

    name: str
    processes: frozenset[int]
    namespaces: frozenset[int]

    @classmethod
    def of(cls, name: str) -> "Traces":
        found = processes(name)
        return cls(name, frozenset(found), frozenset(namespaces(found)))

    def assert_ended(self) -> None:
        """Wait until the last process and namespace have ended; then no mount is left either."""
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in self.processes), "the processes' end", 20)
        wait_until(lambda: not self.namespaces & namespaces_in_use(), "the end of the namespaces", 20)
        assert self.name not in Path("/proc/self/mountinfo").read_text()

    def assert_gone(self) -> None:
        """See :meth:`assert_ended`; and control groups and folder of the lab are gone too."""
        self.assert_ended()
        assert groups(self.name) == []
        assert not lab_paths(self.name).root.exists()
