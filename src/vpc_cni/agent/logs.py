"""JSON lines for people and machines: one object a line with ``level``, ``ts``, ``caller`` and ``msg``.

The four names are the reference's, so that existing log pipelines keep working. Extra fields come from
``logger.info("…", extra={"fields": {...}})``. Secrets never reach a logger: clients log operations, not headers.
"""

import datetime
import functools
import logging
import os
import stat
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

import msgspec

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}
_FILE_BYTES = 100 * 1024 * 1024
_FILE_BACKUPS = 5


class JsonFormatter(logging.Formatter):
    """Render a record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "level": record.levelname.lower(),
            "ts": f"{_second_text(int(record.created))}.{int(record.msecs):03d}Z",
            "caller": f"{record.module}.py:{record.lineno}",
            "msg": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line.update(fields)
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


class _RotatedFile(RotatingFileHandler):
    """A log file that counts what it writes: its base class asks the file system three times for each line."""

    def __init__(self, path: str) -> None:
        super().__init__(path, maxBytes=_FILE_BYTES, backupCount=_FILE_BACKUPS, encoding="utf-8")
        found = os.stat(path)
        self._written = found.st_size
        self._may_rotate = stat.S_ISREG(found.st_mode)  # a pipe or a device stays as it is

    def write(self, line: str) -> None:
        """Write a line that is formatted already. Raises OSError."""
        self._written += len(line)
        if self._may_rotate and self._written > self.maxBytes:
            self.doRollover()
            self._written = len(line)
        stream = self.stream
        if stream is None:  # closed by a rotation that failed half-way
            stream = self.stream = self._open()
        stream.write(line)
        stream.flush()


class _Lines(logging.StreamHandler[TextIO]):
    """Writes each line to a stream, and to a file as well, formatted once."""

    def __init__(self, stream: TextIO, file: _RotatedFile | None) -> None:
        super().__init__(stream)
        self.setFormatter(JsonFormatter())
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
            self.stream.write(line)
            self.stream.flush()
            if self._file is not None:
                self._file.write(line)
        except Exception:  # as in the standard library: a log that cannot be written must stop nothing
            self.handleError(record)


@functools.lru_cache(maxsize=4)
def _second_text(second: int) -> str:
    """Return RFC 3339 text without a zone; lines of one second share it."""
    return datetime.datetime.fromtimestamp(second, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def configure_logging(level: str, target: str) -> None:
    """Send all logs to standard output and, when ``target`` is a path, to that file as well (rotated).

    A file that cannot be written is reported on standard output and left out: a full or read-only log folder
    must not keep pods from starting.
    """
    root = logging.getLogger()
    root.setLevel(_LEVELS.get(level.lower(), logging.DEBUG))
    stream = sys.stderr if target == "stderr" else sys.stdout
    file: _RotatedFile | None = None
    problem: OSError | None = None
    if target not in {"stdout", "stderr", ""}:
        try:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            file = _RotatedFile(target)
        except OSError as err:
            problem = err
    root.handlers[:] = [_Lines(stream, file)]
    # Nothing that a line shows: not worth asking for at each one.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for chatty in ("urllib3", "botocore", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.INFO, root.level))
    if problem is not None:
        root.warning("log file %s cannot be written (%s): logging to standard output only", target, problem)
