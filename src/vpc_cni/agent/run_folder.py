"""The agent's folder on tmpfs: private to root, and to one agent at a time."""

import fcntl
import os
from pathlib import Path

from vpc_cni.errors import HostError


def lock_run_folder(run_dir: Path) -> int:
    """Make sure that this is the only agent with this folder; return the descriptor that holds the lock.

    Raises:
        HostError: another one runs, or the folder cannot be used.
    """
    try:
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        run_dir.chmod(0o700)
        fd = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise HostError(f"cannot use {run_dir}: {err.strerror}", hint="make it a writable folder of root") from err
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise HostError(
            f"another agent uses {run_dir}", hint="only one agent may run on a node; stop the other one"
        ) from None
    return fd
