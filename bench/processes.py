"""CPU time and memory of running processes, read from ``/proc``."""

import contextlib
import os
import re
from pathlib import Path

from vpc_cni.errors import HostError

PRIORITY = -15
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
# proc_pid_stat(5): utime and stime are fields 14 and 15; the text behind the last bracket starts with field 3.
_UTIME, _STIME = 14 - 3, 15 - 3


def process_tree(pid: int) -> list[int]:
    """Return a process and all its descendants that run now."""
    tree = [pid]
    for parent in tree:
        for listing in Path(f"/proc/{parent}/task").glob("*/children"):
            tree.extend(int(child) for child in _read(listing).split())
    return tree


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process tree: all threads, also ended ones, to 1/100 s.

    Raises:
        HostError: the process is gone.
    """
    return sum(_cpu_of(each) for each in process_tree(pid))


def pss_mib(pid: int) -> float:
    """Return the proportional share of memory of a process tree, in MiB.

    Raises:
        HostError: the process is gone, or its memory is not ours to read.
    """
    return sum(_pss_of(each) for each in process_tree(pid)) / 1024


def prefer(pid: int) -> None:
    """Raise the priority of a process, its threads and later children, and of its session where sessions are weighed.

    Raises:
        HostError: not permitted.
    """
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():  # Linux keeps it for each thread
            os.setpriority(os.PRIO_PROCESS, int(thread.name), PRIORITY)
        # sched(7), "The autogroup feature": with it, nice values count within a session only.
        with contextlib.suppress(FileNotFoundError):
            Path(f"/proc/{pid}/autogroup").write_text(str(PRIORITY))
    except OSError as err:
        raise HostError(f"cannot raise the priority of process {pid}: {err.strerror}") from err


def _cpu_of(pid: int) -> float:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) / os.sysconf("SC_CLK_TCK")


def _pss_of(pid: int) -> int:
    found = _PSS.search(_read(Path(f"/proc/{pid}/smaps_rollup")))
    return int(found.group(1)) if found else 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as err:
        raise HostError(f"cannot read {path}: {err.strerror}", hint="did the agent end during the run?") from err
