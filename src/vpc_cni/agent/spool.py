"""The spool: DELs that plugins recorded while the agent was away.

A plugin that cannot reach the agent writes one file for each sandbox key (temp file and rename) and tells the
runtime that the DEL succeeded. The agent replays the folder before its first ADD and watches it from then on.
A file that cannot be understood is kept under another name for the operator; it never stops the replay.
"""

import asyncio
import ctypes
import logging
import os
from collections.abc import Callable
from pathlib import Path

from vpc_cni.errors import HostError

_log = logging.getLogger(__name__)

# linux/inotify.h
_IN_MOVED_TO = 0x80
_IN_ONLYDIR = 0x01000000
_UNREADABLE_SUFFIX = ".unreadable"


class Spool:
    """The folder of recorded DELs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._inotify = -1
        self._count = 0

    def __len__(self) -> int:
        """How many DELs the last look found."""
        return self._count

    def open(self) -> None:
        """Make the folder (0700) and start to watch it.

        Raises:
            HostError: the folder cannot be made or watched.
        """
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.directory.chmod(0o700)
            self._inotify = _watch(self.directory)
        except OSError as err:
            raise HostError(
                f"cannot watch the spool {self.directory}: {err.strerror}",
                hint="make the folder writable for root; without it DELs of a restart could be lost",
            ) from err

    def attach(self, loop: asyncio.AbstractEventLoop, on_change: Callable[[], None]) -> None:
        """Call ``on_change`` on the loop whenever a plugin has recorded a DEL."""

        def changed() -> None:
            os.read(self._inotify, 65536)
            on_change()

        loop.add_reader(self._inotify, changed)

    def close(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Stop watching; files stay."""
        if self._inotify >= 0:
            if loop is not None:
                loop.remove_reader(self._inotify)
            os.close(self._inotify)
            self._inotify = -1

    def pending(self) -> list[Path]:
        """Return the recorded DELs, oldest first."""
        found: list[tuple[float, Path]] = []
        for entry in os.scandir(self.directory):
            # Plugins write to names that begin with a dot and rename; such a file is not finished.
            if entry.name.startswith(".") or entry.name.endswith(_UNREADABLE_SUFFIX) or not entry.is_file():
                continue
            found.append((entry.stat().st_mtime, Path(entry.path)))
        self._count = len(found)
        return [path for _, path in sorted(found)]

    def done(self, path: Path) -> None:
        """Forget a replayed DEL."""
        path.unlink(missing_ok=True)
        self._count = max(0, self._count - 1)

    def set_aside(self, path: Path, why: str) -> None:
        """Keep a file that cannot be understood, out of the way."""
        _log.error("recorded DEL %s cannot be read: %s", path, why)
        path.rename(path.with_name(path.name + _UNREADABLE_SUFFIX))
        self._count = max(0, self._count - 1)


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
