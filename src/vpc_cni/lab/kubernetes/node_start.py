"""Give a Kubernetes node its namespaces: run by path as ``python -I -S node_start.py NETNS PARENT_PID INIT PLAN``.

Standard library only, so that it costs one short interpreter start. It joins the node's network namespace, makes new
mount, process, host name and IPC namespaces, starts ``INIT PLAN`` as their process 1 and waits for it. Whatever ends
this process ends the node like a power cut: the kernel kills process 1, with it all processes of the node, and drops
the mounts.
"""

import ctypes
import os
import select
import signal
import sys

CLONE_NEWNS = 0x00020000  # linux/sched.h
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1  # linux/prctl.h

libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> int:
    netns_path, parent_pid, init, plan = arguments
    die_with_parent()
    if os.getppid() != int(parent_pid):
        sys.exit("the lab ended before this node started")
    descriptor = os.open(netns_path, os.O_RDONLY | os.O_CLOEXEC)
    check(libc.setns(descriptor, CLONE_NEWNET), f"enter {netns_path}")
    os.close(descriptor)
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID), "make namespaces")
    alive, held = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(held)
        run_init(alive, init, plan)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) & 0xFF


def run_init(alive: int, init: str, plan: str) -> None:
    """Become process 1 of the node. ``alive`` reads as ended when the parent has died before we could ask for that."""
    die_with_parent()
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)
    os.close(alive)
    os.execv(sys.executable, [sys.executable, "-I", "-S", init, plan])  # noqa: S606 - no shell wanted


def die_with_parent() -> None:
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "ask for a signal at the parent's death")


def check(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {what}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
