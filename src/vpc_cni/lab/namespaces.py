"""The network namespaces of a lab, held by one process so that its death is their end.

Namespace files are bind mounts on a tmpfs that only this process's mount namespace has. When the process ends, even by
SIGKILL, the kernel drops the mount namespace, with it the bind mounts, and with them the network namespaces.
"""

import os
import re
import socket
import threading
from pathlib import Path

from vpc_cni.errors import CallerError, HostError
from vpc_cni.lab import mounts
from vpc_cni.netlink.netns import Netns, unbind

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
TMPFS_OPTIONS = "size=4m,mode=0700"


class NetnsFolder:
    """Creates, opens and deletes named namespaces below one folder.

    Args:
        root: the folder; it becomes the mount point of the private tmpfs.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[str, Netns] = {}

    def mount(self) -> None:
        """Make this process's mounts private and put a tmpfs on the folder.

        Must run before the process has threads: a mount namespace is a property of each thread.

        Raises:
            HostError: threads exist already, or the kernel refuses.
        """
        if threading.active_count() > 1:
            raise HostError("the mount namespace must be made before any thread")
        self._root.mkdir(parents=True, exist_ok=True)
        mounts.unshare(mounts.CLONE_NEWNS)
        mounts.make_mounts_private()
        mounts.mount_tmpfs(self._root, TMPFS_OPTIONS)

    def create(self, name: str) -> Netns:
        """Create a namespace with its loopback link up and all addresses of a new one.

        Raises:
            CallerError: the name is taken or not a file name.
        """
        if name in self._open or not FILE_NAME.fullmatch(name):
            raise CallerError(f'network namespace "{name}" exists or is not a valid name')
        netns = Netns.create(lo_up=True)
        netns.bind_to(self.path(name))
        self._open[name] = netns
        return netns

    def delete(self, name: str) -> None:
        """Give up a namespace; it ends when the last process, socket and descriptor in it has gone."""
        netns = self._open.pop(name, None)
        if netns is not None:
            unbind(self.path(name))
            netns.close()

    def get(self, name: str) -> Netns:
        """Return an open namespace.

        Raises:
            CallerError: there is none of this name.
        """
        try:
            return self._open[name]
        except KeyError:
            raise CallerError(f'there is no network namespace "{name}"') from None

    def path(self, name: str) -> Path:
        """Return where a namespace's file is, as this process and its children see it."""
        return self._root / name

    def outside_path(self, name: str) -> Path:
        """Return a path by which other processes of this user reach the file while this process lives."""
        return Path(f"/proc/{os.getpid()}/root") / self.path(name).relative_to("/")

    async def open_socket(self, name: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Return a non-blocking socket that belongs to the namespace ``name``, for the caller's event loop."""
        opened = self.get(name).socket(family, kind, protocol)
        opened.setblocking(False)
        return opened

    def close(self) -> None:
        """Give up all namespaces and the tmpfs."""
        for name in list(self._open):
            self.delete(name)
        mounts.detach(self._root)
