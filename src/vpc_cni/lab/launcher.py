"""Start a program the way a container runtime starts the agent's container: namespace, capabilities, then exec.

Run by path as ``python -I -S launcher.py NETNS PARENT_PID PROGRAM ARG...``: it imports nothing outside the standard
library, so that it costs one short interpreter start. The program runs with uid 0 (as the caller) and CAP_NET_ADMIN
alone, and dies with the process that started this one.
"""

import ctypes
import os
import signal
import sys

CLONE_NEWNET = 0x40000000  # linux/sched.h
PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
CAP_NET_ADMIN = 12  # linux/capability.h

libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> None:
    netns_path, parent_pid, *command = arguments
    die_with_parent(int(parent_pid))
    enter_network_namespace(netns_path)
    keep_one_capability(CAP_NET_ADMIN)
    os.execv(command[0], command)  # noqa: S606 - no shell wanted


def die_with_parent(parent_pid: int) -> None:
    """Ask for SIGKILL when the parent's thread ends; end now if that has already happened."""
    call_prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit("the lab ended before this program started")


def enter_network_namespace(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    os.close(descriptor)


def keep_one_capability(kept: int) -> None:
    """Empty the bounding set but for ``kept``.

    An exec as uid 0 grants what the bounding set holds (capabilities(7), "Capabilities and execution of programs
    by root"), so the program starts with exactly this one in its permitted and effective sets.
    """
    capability = 0
    while libc.prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0:
        if capability != kept:
            call_prctl(PR_CAPBSET_DROP, capability)
        capability += 1
    call_prctl(PR_SET_NO_NEW_PRIVS, 1)


def call_prctl(option: int, argument: int) -> None:
    if libc.prctl(option, argument, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option} {argument}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main(sys.argv[1:])
