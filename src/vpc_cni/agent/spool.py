"""The spool: DELs that plugins recorded while the agent was away or slow.

A file is *taken* (renamed) before it is read, so that a DEL recorded meanwhile makes a new file; it stays until its DEL
is done, so that a killed agent's successor finds it again. The folder is read once before the first ADD, and
whenever a plugin has renamed a file into it.
"""

import asyncio
import contextlib
import ctypes
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vpc_cni.errors import CallerError, HostError
from vpc_cni.rpc.messages import Request
from vpc_cni.rpc.spool import MAX_FILE_BYTES, decode_spooled

# linux/inotify.h
_IN_MOVED_TO = 0x80
_IN_ONLYDIR = 0x01000000

_TAKEN = ".taken"
_NAME = re.compile(r"[0-9a-f]{64}(\.taken)?")


@dataclass(frozen=True, slots=True)
class RecordedDelete:
    """A taken spool file. ``request`` is None when ``problem`` says why it cannot be read."""

    path: Path
    request: Request | None
    problem: CallerError | None = None

    def remove(self) -> None:
        """Forget the file: its DEL is done, or reported as unreadable. May be repeated."""
        self.path.unlink(missing_ok=True)


def count_recorded(directory: Path) -> int:
    """Return how many DELs wait to be replayed; 0 without a folder."""
    try:
        return sum(1 for name in os.listdir(directory) if _NAME.fullmatch(name))
    except FileNotFoundError:
        return 0


def take_recorded(directory: Path) -> Iterator[RecordedDelete]:
    """Take the files one after the other; those that a former agent had taken first. No folder: nothing."""
    try:
        names = [name for name in os.listdir(directory) if _NAME.fullmatch(name)]
    except FileNotFoundError:
        return
    for name in sorted(names, key=lambda name: (not name.endswith(_TAKEN), name)):
        with contextlib.suppress(FileNotFoundError):
            yield _take(directory / name)


def _take(path: Path) -> RecordedDelete:
    taken = path
    if path.suffix != _TAKEN:
        taken = path.with_name(path.name + _TAKEN)
        path.rename(taken)
    with taken.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    try:
        return RecordedDelete(taken, decode_spooled(data))
    except CallerError as err:
        return RecordedDelete(taken, None, err)


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
