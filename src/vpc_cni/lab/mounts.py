"""Mount and namespace calls that Python 3.11 does not offer. Linux only; errors become `HostError`."""

import ctypes
import os
from pathlib import Path

from vpc_cni.errors import HostError

CLONE_NEWNS = 0x00020000  # linux/sched.h
CLONE_NEWUSER = 0x10000000
MS_NOSUID = 0x2  # linux/mount.h
MS_NODEV = 0x4
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Give the calling thread namespaces of its own.

    Raises:
        HostError: not allowed here.
    """
    _check(_libc.unshare(flags), f"create namespaces {flags:#x}")


def enter_user_namespace(path: Path) -> None:
    """Join a user namespace; the process must have one thread.

    Raises:
        HostError: not ours.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(descriptor, CLONE_NEWUSER), f"enter the user namespace {path}")
    finally:
        os.close(descriptor)


def make_mounts_private() -> None:
    """Cut the whole mount tree off from others, so that nothing mounted here is seen elsewhere."""
    _mount("none", Path("/"), "", MS_REC | MS_PRIVATE, "")


def mount_tmpfs(target: Path, options: str) -> None:
    _mount("lab", target, "tmpfs", 0, options)


def allow_programs(folder: Path) -> None:
    """Let programs below a folder run, where its file system forbids that, as many have it for /run.

    Only in this process's own mount namespace. Undo with ``detach`` before removing the folder.

    Raises:
        HostError: the kernel refuses: whoever forbade it has more rights than this process.
    """
    if not os.statvfs(folder).f_flag & os.ST_NOEXEC:
        return
    _mount(str(folder), folder, "none", MS_BIND, "")
    # What the file system forbids beside programs stays forbidden.
    _mount("none", folder, "none", MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV, "")


def detach(target: Path) -> None:
    """Unmount: at once for new users, later for those that still hold it."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"unmount {target}")


def _mount(source: str, target: Path, kind: str, flags: int, options: str) -> None:
    status = _libc.mount(source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _check(status, f"mount {source} on {target}")


def _check(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise HostError(f"cannot {what}: {os.strerror(number)}", hint="root or a user namespace is needed")
