"""Who runs a lab: the daemon's identity on disk, the lock it holds, and what a crash leaves behind.

The lock is the truth: the kernel drops it when the daemon dies, however it dies. The state file tells others how to
reach the daemon.
"""

import fcntl
import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from vpc_cni.errors import CallerError, HostError
from vpc_cni.lab.kubernetes.cgroups import remove_groups
from vpc_cni.lab.paths import LabPaths

START_TIME_FIELD = 22  # "starttime" of proc_pid_stat(5), counted from 1

_DYING_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class DaemonIdentity:
    """A process that cannot be mistaken for a later one with the same number.

    ``start_ticks`` is the start time since boot in clock ticks.
    """

    pid: int
    start_ticks: int

    def is_alive(self) -> bool:
        return read_start_ticks(self.pid) == self.start_ticks


def read_start_ticks(pid: int) -> int | None:
    """Return a process's start time since boot in clock ticks, or None when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The program name may hold spaces and brackets: count from the last bracket, which ends field 2.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[START_TIME_FIELD - 3])


def current_identity() -> DaemonIdentity:
    pid = os.getpid()
    ticks = read_start_ticks(pid)
    if ticks is None:
        raise HostError("/proc does not show this process", hint="mount /proc")
    return DaemonIdentity(pid, ticks)


def write_state(paths: LabPaths, identity: DaemonIdentity) -> None:
    """Record the daemon in one step."""
    staged = paths.state_file.with_suffix(".tmp")
    staged.write_text(json.dumps({"format": 1, **asdict(identity)}) + "\n")
    staged.replace(paths.state_file)


def read_state(paths: LabPaths) -> DaemonIdentity | None:
    """Return the living daemon of a lab, or None when there is none (never was, ended, or crashed)."""
    try:
        document = json.loads(paths.state_file.read_text())
        identity = DaemonIdentity(int(document["pid"]), int(document["start_ticks"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return identity if identity.is_alive() else None


def list_labs(base: Path) -> list[str]:
    """Return the names of all run folders, living or not, sorted."""
    if not base.is_dir():
        return []
    return sorted(entry.name for entry in base.iterdir() if entry.is_dir())


def acquire_lock(paths: LabPaths) -> int:
    """Become the only daemon of this name; the returned descriptor holds the lock until it closes.

    Raises:
        CallerError: another daemon holds it.
        HostError: the folder cannot be made.
    """
    try:
        paths.base.mkdir(mode=0o755, parents=True, exist_ok=True)
        _check_owner(paths.base)
        while True:
            descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            _lock_now(descriptor, paths)
            if _is_current(descriptor, paths.lock):
                return descriptor
            os.close(descriptor)  # the former holder removed the file between our open and our lock
    except OSError as err:
        raise HostError(f"cannot create {paths.lock}: {err.strerror}", hint="set VPC_CNI_LAB_DIR") from err


def release_lock(paths: LabPaths, descriptor: int) -> None:
    """Give the name free, and remove the file and an empty base folder."""
    with suppress(OSError):
        paths.lock.unlink()
        paths.base.rmdir()
    os.close(descriptor)


def _check_owner(base: Path) -> None:
    """Refuse a folder that someone else made: he could replace what the lab puts there."""
    if base.stat().st_uid != os.geteuid():
        raise HostError(f"{base} belongs to another user", hint="set VPC_CNI_LAB_DIR to a folder of your own")


def _lock_now(descriptor: int, paths: LabPaths) -> None:
    try:
        # A daemon that was killed may leave the lock for a moment to a child that it was just starting.
        deadline = time.monotonic() + _DYING_SECONDS
        while not _try_lock(descriptor):
            if read_state(paths) is not None or time.monotonic() > deadline:
                raise BlockingIOError
            time.sleep(0.02)
    except BlockingIOError:
        os.close(descriptor)
        raise CallerError(
            f'lab "{paths.name}" is already up', hint=f"run `vpc-cni lab down --name {paths.name}` or choose a --name"
        ) from None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_current(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def clear_leftovers(paths: LabPaths) -> bool:
    """Remove the run folder of a daemon that is gone; True when there was one. Call it with the lock held."""
    if not paths.root.exists():
        return False
    shutil.rmtree(paths.root)
    remove_groups(paths.name)
    return True
