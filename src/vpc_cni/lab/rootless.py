"""A lab without root: the daemon becomes root of a user namespace of its own, where the kernel allows that.

The main thread keeps the machine's network namespace, so that people can still reach the API on 127.0.0.1; the lab's
namespaces belong to the new user namespace and are fully its own.
"""

import os
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.lab import mounts


def become_root() -> None:
    """Enter a new user namespace as its root, unless this process is root already. Before any thread.

    Raises:
        HostError: the kernel or its configuration does not let ordinary users do this.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        return
    try:
        mounts.unshare(mounts.CLONE_NEWUSER)
        # An unprivileged process must give up setgroups before it may map a group: user_namespaces(7).
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    except (HostError, OSError) as err:
        raise HostError(f"cannot run a lab as uid {uid}: {err}", hint=find_refusal(uid) or "run as root") from err


def find_refusal(uid: int | None = None, proc_sys: Path = Path("/proc/sys")) -> str | None:
    """Return why this user cannot run a lab here, as far as settings tell; None when they do not forbid it."""
    if (os.geteuid() if uid is None else uid) == 0:
        return None
    switches = {
        "user/max_user_namespaces": "0",
        "kernel/unprivileged_userns_clone": "0",
        "kernel/apparmor_restrict_unprivileged_userns": "1",
    }
    for name, refusing in switches.items():
        path = proc_sys / name
        if path.is_file() and path.read_text().strip() == refusing:
            return f"{name.replace('/', '.')} is {refusing}; run as root, or change it"
    return None
