"""The journal on tmpfs: records appended with one write each, compacted in slices while the agent goes on.

tmpfs survives the process and not the node, which is what an allocation does; a write that returned is there for the
next process whatever happens to this one, so nothing is flushed. The file is owned by one process at a time (the
agent's lock).
"""

import dataclasses
import errno
import logging
import os
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.ipam.journal import (
    HEADER_BYTES,
    Damage,
    DamageKind,
    JournalRead,
    encode_header,
    encode_record,
    read_journal,
)
from vpc_cni.ipam.journal_state import Compaction, JournalState, fold, is_worth_compacting
from vpc_cni.ipam.records import Record

_log = logging.getLogger(__name__)
_SLICE_FACTS = 64
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def read_boot_id() -> str:
    """Return the id of this boot of the machine."""
    return _BOOT_ID.read_text().strip()


class JournalFile:
    """An open journal. Not thread safe: belongs to the loop.

    ``state`` is what all records so far amount to.
    """

    def __init__(self, path: Path, boot_id: str) -> None:
        self._path = path
        self._boot_id = boot_id
        self._fd = -1
        self._size = 0
        self._compaction: Compaction | None = None
        self._new_fd = -1
        self._says_too_much = False
        self.state = JournalState()
        self.problem = ""
        """Why the last record could not be written; empty when it could."""

    def open(self) -> JournalRead:
        """Read what is there. The file stays as it is until :meth:`replace`; nothing is appended before.

        So a start that dies in between forgets nothing, the fact that records were lost included. A journal of another
        boot describes a node that is gone: it counts as empty. A damaged one is kept beside the new one for inspection.

        Raises:
            HostError: the file cannot be read or copied.
        """
        try:
            is_there = self._path.exists()
            data = self._path.read_bytes() if is_there else b""
            read = read_journal(data)
            if is_there and len(data) < HEADER_BYTES:
                # Files are renamed into place whole: a shorter one was cut by someone else, it is no torn write.
                read = dataclasses.replace(read, damage=(Damage(DamageKind.BAD_HEADER, 0, len(data)),))
            if not read.is_intact:
                self._path.with_suffix(".damaged").write_bytes(data)
        except OSError as err:
            raise self._unusable(err) from err
        self.state = fold(read.records if read.boot_id == self._boot_id else ())
        return read if read.boot_id in ("", self._boot_id) else JournalRead(read.boot_id, read.version, (), 0)

    def replace(self, records: Iterable[Record]) -> None:
        """Start anew with these records, what a restart has found to be true, and append from now on.

        Raises:
            HostError: the file cannot be written.
        """
        self.state = fold(tuple(records))
        try:
            self._begin_compaction(now=0.0)
            while self._compaction is not None:
                self.compact_slice()
        except OSError as err:
            raise self._unusable(err) from err

    def _unusable(self, error: OSError) -> HostError:
        return HostError(
            f"journal {self._path} cannot be used: {error.strerror}", hint="make its folder a writable tmpfs of root"
        )

    def append(self, record: Record) -> None:
        """Write one record; when this returns, a successor of this process will read it.

        Raises:
            HostError: the file system refuses, for example because it is full.
        """
        data = encode_record(record)
        try:
            _write_whole(self._fd, data, self._size)
            if self._new_fd >= 0:
                self._append_to_new(data)
        except OSError as err:
            self.problem = f"journal {self._path} cannot be written: {err.strerror}"
            raise HostError(
                self.problem,
                hint="free space on the tmpfs below /run; pods cannot start or stop safely without the journal",
                retryable=True,
            ) from err
        self.problem = ""
        self._size += len(data)
        self.state.apply(record)

    def _append_to_new(self, data: bytes) -> None:
        """Write to the compacted file as well; one that cannot take it is given up, the present one goes on."""
        try:
            _write_whole(self._new_fd, data, os.fstat(self._new_fd).st_size)
        except OSError as err:
            _log.warning("compaction of the journal is given up: %s", err)
            self._abandon_compaction()

    def _abandon_compaction(self) -> None:
        os.close(self._new_fd)
        self._new_fd = -1
        self._compaction = None
        self._staged.unlink(missing_ok=True)

    def forget(self, now: float, given_back: Iterable[IPv4Address]) -> None:
        """Drop what no successor needs: cooldowns that are over, and addresses that EC2 has taken back for good.

        The latter are still in the file, where a successor would believe them, so it wants compaction. An ended
        cooldown says itself that it is over.
        """
        self.state.forget_coolings(now)
        before = len(self.state.given_back)
        self.state.forget_given_back(given_back)
        self._says_too_much = self._says_too_much or len(self.state.given_back) < before

    def wants_compaction(self) -> bool:
        """Whether the file has grown far beyond what it says, or says what is to be forgotten. O(1)."""
        is_running = self._compaction is not None
        return is_running or self._says_too_much or is_worth_compacting(self._size, self.state)

    def compact_slice(self, now: float = 0.0) -> bool:
        """Do a bounded part of a compaction; return whether more is left.

        Args:
            now: CLOCK_BOOTTIME seconds; ended cooldowns are left out of the new file.
        """
        if self._compaction is None:
            self._begin_compaction(now)
        assert self._compaction is not None  # noqa: S101 - set just now
        data = self._compaction.next_slice(_SLICE_FACTS)
        if data:
            try:
                _write_whole(self._new_fd, data, os.fstat(self._new_fd).st_size)
            except OSError:
                self._abandon_compaction()
                raise
            return True
        self._finish_compaction()
        return False

    def _begin_compaction(self, now: float) -> None:
        self._compaction = Compaction(self.state, self._boot_id, now)
        self._says_too_much = False
        self._new_fd = os.open(self._staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        # The header must precede records that are appended while slices are still being written.
        os.write(self._new_fd, self._compaction.next_slice(1) or encode_header(self._boot_id))

    def _finish_compaction(self) -> None:
        os.replace(self._staged, self._path)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._new_fd = self._new_fd, -1
        self._size = os.fstat(self._fd).st_size
        self._compaction = None

    @property
    def _staged(self) -> Path:
        return self._path.with_suffix(".new")

    def close(self) -> None:
        """Close the file; everything was written already."""
        for fd in (self._fd, self._new_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._new_fd = -1


def _write_whole(fd: int, data: bytes, end: int) -> None:
    """Append ``data`` whole or not at all: a part of a record would make all that follows unreadable.

    Args:
        end: size of the file before.

    Raises:
        OSError: the file is as it was.
    """
    try:
        written = os.write(fd, data)
    except OSError:
        os.ftruncate(fd, end)
        raise
    if written != len(data):
        os.ftruncate(fd, end)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
