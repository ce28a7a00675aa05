"""Become a program inside one of the lab's namespaces: what `lab exec` does.

Also a program: ``python -m vpc_cni.lab.enter NETNS_PATH DAEMON_PID CMD...``.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from vpc_cni.errors import CallerError
from vpc_cni.lab import mounts
from vpc_cni.netlink.netns import enter_netns


def execute_inside(netns_path: str, daemon_pid: int, command: Sequence[str]) -> NoReturn:
    """Replace this process by ``command`` in a network namespace of the lab; files and terminal stay as they are.

    Must be called without other threads. The program sees the machine's ``/sys``, so what it reads there about
    network links is not the namespace's.

    Raises:
        HostError: the namespace cannot be entered.
        CallerError: the command cannot be run.
    """
    target = os.open(netns_path, os.O_RDONLY | os.O_CLOEXEC)
    user_namespace = Path(f"/proc/{daemon_pid}/ns/user")
    if not os.path.samefile(user_namespace, "/proc/self/ns/user"):
        mounts.enter_user_namespace(user_namespace)  # a lab without root has one of its own
    enter_netns(target)
    os.close(target)
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - no shell wanted
    except OSError as err:
        raise CallerError(f"cannot run {command[0]}: {err.strerror}") from err


if __name__ == "__main__":
    execute_inside(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
