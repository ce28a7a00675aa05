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
        cached: str | None = getattr(record, "json_line", None)  # standard output and file get the same line
        if cached is not None:
            return cached
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
        text = msgspec.json.encode(line, enc_hook=str).decode()
        record.__dict__["json_line"] = text
        return text


class _RotatedFile(RotatingFileHandler):
    """A log file that counts what it writes; its base class asks the file system three times for each line."""

    def __init__(self, path: str) -> None:
        super().__init__(path, maxBytes=_FILE_BYTES, backupCount=_FILE_BACKUPS, encoding="utf-8")
        found = os.stat(path)
        self._written = found.st_size
        self._may_rotate = stat.S_ISREG(found.st_mode)  # a pipe or a device stays as it is

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        self._written += len(self.format(record)) + 1
        return self._may_rotate and self._written > self.maxBytes

    def doRollover(self) -> None:
        super().doRollover()
        self._written = 0


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
    handlers: list[logging.Handler] = [logging.StreamHandler(stream)]
    problem: OSError | None = None
    if target not in {"stdout", "stderr", ""}:
        try:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            handlers.append(_RotatedFile(target))
        except OSError as err:
            problem = err
    for handler in handlers:
        handler.setFormatter(JsonFormatter())
    root.handlers[:] = handlers
    # Nothing that a line shows: not worth asking for at each one.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for chatty in ("urllib3", "botocore", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.INFO, root.level))
    if problem is not None:
        root.warning("log file %s cannot be written (%s): logging to standard output only", target, problem)
