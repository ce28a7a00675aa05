"""Watches the spool: the folder in which plugins record DELs while the agent is away or slow.

What a spool file is and how it is taken stands in ``rpc.spool``; this module says *when* to look: once before the
first ADD, and whenever a plugin has renamed a file into the folder.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable
from pathlib import Path

from vpc_cni.errors import HostError

# linux/inotify.h
_IN_MOVED_TO = 0x80
_IN_ONLYDIR = 0x01000000


class SpoolWatch:
    """Calls back on the loop when a DEL was recorded."""

    def __init__(self, directory: Path, on_change: Callable[[], None]) -> None:
        """Make the folder (0700) and start to watch it.

        Raises:
            HostError: the folder cannot be made or watched.
        """
        self._loop = asyncio.get_running_loop()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)
            self._inotify = _watch(directory)
        except OSError as err:
            raise HostError(
                f"cannot watch the spool {directory}: {err.strerror}",
                hint="make the folder writable for root; without it DELs of a restart could be lost",
            ) from err

        def changed() -> None:
            os.read(self._inotify, 65536)
            on_change()

        self._loop.add_reader(self._inotify, changed)

    def close(self) -> None:
        """Stop watching; files stay for the next agent."""
        if self._inotify >= 0:
            self._loop.remove_reader(self._inotify)
            os.close(self._inotify)
            self._inotify = -1


def _watch(directory: Path) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if libc.inotify_add_watch(fd, os.fsencode(directory), _IN_MOVED_TO | _IN_ONLYDIR) < 0:
        code = ctypes.get_errno()
        os.close(fd)
        raise OSError(code, os.strerror(code))
    return int(fd)
