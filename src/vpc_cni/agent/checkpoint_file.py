"""Writes the reference's ``ipam.json``, so that it can take the node over at any time.

Off the hot path: changes only raise a flag; the file follows at most a second later, written by a worker thread. The
journal remembers the digest of what we wrote, so that a start notices when someone else wrote the file since.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

from vpc_cni.agent.journal_file import JournalFile
from vpc_cni.agent.steps import Reach, Step
from vpc_cni.errors import HostError, VpcCniError
from vpc_cni.ipam.checkpoint import digest, encode_checkpoint
from vpc_cni.ipam.records import CheckpointWritten
from vpc_cni.model import Allocation

_log = logging.getLogger(__name__)
_DELAY_SECONDS = 0.5
_RETRY_SECONDS = 5.0


class CheckpointFile:
    """The file, and the task that keeps it true.

    Args:
        allocations: what the pool holds now.
    """

    def __init__(
        self, path: Path, journal: JournalFile, allocations: Callable[[], tuple[Allocation, ...]], *, reach: Reach
    ) -> None:
        self._path = path
        self._journal = journal
        self._allocations = allocations
        self._reach = reach
        self._changed = asyncio.Event()
        self._lock = asyncio.Lock()
        self._present = ""
        """Digest of the file as it is; empty when there is none, or before it was read."""

    def read(self) -> bytes | None:
        """Return the file's content; None when there is none.

        Raises:
            HostError: it exists and cannot be read.
        """
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as err:
            raise HostError(f"checkpoint {self._path} cannot be read: {err.strerror}", hint="see its mode") from err
        self._present = digest(content)
        return content

    def keep_aside(self, content: bytes) -> Path:
        """Keep another program's file that could not be taken in whole, and return where: ours soon replaces it."""
        path = self._path.with_name(f"{self._path.name}.unread-{digest(content)[:8]}")
        try:
            replace_file(path, content)
        except OSError as err:
            _log.error("%s cannot be kept: %s", path, err)
        return path

    def mark_changed(self) -> None:
        """Note that the file is behind; cheap."""
        self._changed.set()

    async def run(self) -> None:
        """Write the file whenever it is behind, until cancelled."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(_DELAY_SECONDS)
            self._changed.clear()
            try:
                await self.write()
            except (OSError, VpcCniError) as err:
                _log.error("checkpoint %s cannot be written: %s", self._path, err)
                self._changed.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def write(self) -> None:
        """Write the file now; a write that has begun goes on when the caller is cancelled."""
        await asyncio.shield(asyncio.ensure_future(self._write()))

    async def _write(self) -> None:
        async with self._lock:
            content = encode_checkpoint(self._allocations())
            self._note(digest(content))
            self._reach(Step.CHECKPOINT_NOTED)
            await asyncio.get_running_loop().run_in_executor(None, replace_file, self._path, content)
            self._present = digest(content)
            self._reach(Step.CHECKPOINT_WRITTEN)

    def _note(self, upcoming: str) -> None:
        """Let the journal know both files: a kill before the new one is in place leaves the present one.

        The journal remembers two digests, and after a kill here the latest is of a file that never was.
        """
        if self._present and self._present != self._journal.state.checkpoint_digest:
            self._journal.append(CheckpointWritten(self._present))
        self._journal.append(CheckpointWritten(upcoming))


def replace_file(path: Path, content: bytes) -> None:
    """Put a file (0600) in place of another, whole or not at all, even if the machine stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f"{path.name}.tmp")
    fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(staged, path)
