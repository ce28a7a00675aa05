"""Process 1 of a Kubernetes node: makes its view of the file system, starts its programs, buries its orphans.

Run by path as ``python -I -S node_init.py PLAN``; standard library only. The plan is what `node_plan` writes. A program
that ends is started again; process 1 itself ends only by a signal, and with it the whole node.
"""

import ctypes
import json
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

MS_BIND = 0x1000  # linux/mount.h
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SHARED = 0x100000
MNT_DETACH = 0x2

OVERLAID = ("etc", "opt", "var")
RESTART_SECONDS = 1.0
READY_SECONDS = 20.0
POLL_SECONDS = 0.01

libc = ctypes.CDLL(None, use_errno=True)
Plan = dict[str, Any]


def main(plan_path: str) -> None:
    plan: Plan = json.loads(Path(plan_path).read_text())
    socket.sethostname(plan["hostname"])
    make_mounts(plan)
    os.environ.clear()
    os.environ.update(plan["environment"])
    os.chdir("/")
    running = {start(program): program for program in plan["programs"]}
    while True:
        pid, _status = os.wait()
        program = running.pop(pid, None)
        if program is not None and not program["once"]:
            time.sleep(RESTART_SECONDS)
            running[start(program)] = program


# --- programs ---------------------------------------------------------------------------------------------------------


def start(program: Plan) -> int:
    """Start a program; return when it serves, or when one that runs once has ended."""
    pid = os.fork()
    if pid == 0:
        become(program)
    if program["once"]:
        os.waitpid(pid, 0)
    if program["ready"]:
        deadline = time.monotonic() + READY_SECONDS
        while not os.path.exists(program["ready"]) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    return pid


def become(program: Plan) -> None:
    try:
        os.setsid()
        log = os.open(program["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.execv(program["command"][0], program["command"])  # noqa: S606 - no shell wanted
    finally:
        os._exit(127)


# --- files ------------------------------------------------------------------------------------------------------------


def make_mounts(plan: Plan) -> None:
    """Build the node's view: its own /etc, /opt, /var, /run, /sys and /proc over those of this machine."""
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    root, state = plan["root"], Path(plan["state"])
    drop_mounts_below(plan["lab_root"], keep=root)
    # What the new mounts are about to hide is reached by its descriptor.
    own = os.open(root, os.O_PATH | os.O_DIRECTORY)
    for name in OVERLAID:
        overlay(Path("/", name), state / "overlay" / name)
    mount("tmpfs", "/run", "tmpfs", options="mode=0755")
    mount_sys()
    mount("proc", "/proc", "proc")
    restore(own, root)
    for source, target in plan["binds"]:
        bind(source, target)
    for name, value in plan["kernel_parameters"].items():
        hide_parameter(name, value, state)
    # Last: what containers ask to be told of must be shared by then.
    mount("none", "/", flags=MS_REC | MS_SHARED)


def drop_mounts_below(folder: str, keep: str) -> None:
    """Let go of other nodes' mounts and of the lab's namespaces: a copy here would keep them alive."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [re.sub(r"\\(\d{3})", _octal, line.split()[4]) for line in lines]
    for point in reversed(points):
        if point.startswith(f"{folder}/") and not f"{point}/".startswith(f"{keep}/"):
            check(libc.umount2(os.fsencode(point), MNT_DETACH), f"unmount {point}")


def _octal(match: "re.Match[str]") -> str:
    return chr(int(match[1], 8))


def overlay(target: Path, layers: Path) -> None:
    """Let changes of a folder go to ``layers``."""
    for name in ("upper", "work"):
        (layers / name).mkdir(parents=True, exist_ok=True)
    mount("overlay", target, "overlay", options=f"lowerdir={target},upperdir={layers}/upper,workdir={layers}/work")


def mount_sys() -> None:
    """A fresh /sys shows the links of the node's own network; the control groups must survive it."""
    os.mkdir("/run/cgroup")
    mount("/sys/fs/cgroup", "/run/cgroup", flags=MS_BIND | MS_REC)
    mount("sysfs", "/sys", "sysfs")
    mount("/run/cgroup", "/sys/fs/cgroup", flags=MS_MOVE)
    os.rmdir("/run/cgroup")


def restore(descriptor: int, path: str) -> None:
    """Show a folder again at its own path, where programs of the lab expect it."""
    os.makedirs(path, exist_ok=True)
    mount(f"/proc/self/fd/{descriptor}", path, flags=MS_BIND | MS_REC)
    os.close(descriptor)


def bind(source: str, target: str) -> None:
    for folder in (source, target):
        os.makedirs(folder, exist_ok=True)
    mount(source, target, flags=MS_BIND)


def hide_parameter(name: str, value: str, state: Path) -> None:
    """Show a kernel parameter of the whole machine with another value; what is written to it changes a file."""
    fake = state / "parameters" / name
    fake.parent.mkdir(parents=True, exist_ok=True)
    fake.write_text(f"{value}\n")
    target = Path("/proc/sys", name)
    if target.exists():
        mount(fake, target, flags=MS_BIND)


def mount(source: str | Path, target: str | Path, kind: str = "none", flags: int = 0, options: str = "") -> None:
    status = libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    check(status, f"mount {source} on {target}")


def check(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {what}: {os.strerror(number)}")


if __name__ == "__main__":
    # Process 1 gets only signals that it handles; the lab ends a node by its parent.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    main(sys.argv[1])
