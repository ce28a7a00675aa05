"""The ``restarting`` marker: how a stopping agent asks plugins to wait for its successor.

One line in a file beside the socket: CLOCK_BOOTTIME milliseconds until which to wait. Written at SIGTERM before the
socket closes, removed when the next agent listens. The plugin obeys at most MAX_WAIT_SECONDS of it.
"""

from pathlib import Path

MARKER_NAME = "restarting"
MAX_WAIT_SECONDS = 30.0


def encode_marker(until: float) -> bytes:
    """Encode the marker. Pure. ``until`` is CLOCK_BOOTTIME seconds."""
    return b"%d\n" % int(until * 1000)


def write_marker(directory: Path, *, until: float) -> None:
    """Ask plugins to wait until ``until`` (CLOCK_BOOTTIME seconds). Atomic."""
    temporary = directory / f".{MARKER_NAME}.tmp"
    temporary.write_bytes(encode_marker(until))
    temporary.chmod(0o600)
    temporary.rename(directory / MARKER_NAME)


def remove_marker(directory: Path) -> None:
    """Take the request back. May be repeated."""
    (directory / MARKER_NAME).unlink(missing_ok=True)
