"""Lines of the control socket. Pure.

A client connects, sends one request line and reads lines until the connection ends:

    request   {"op": "pod_add", "args": {...}}
    progress  {"progress": "pod-3 on node-2"}          any number
    result    {"result": ...}                          exactly one, last
    error     {"error": {"kind": "...", ...}}          instead of a result

An error keeps its class when it is one of `vpc_cni.errors`, so that a caller can branch on it.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from vpc_cni.errors import (
    CallerError,
    ConfigurationError,
    HostError,
    InternalError,
    VpcCniError,
)

MAX_LINE_BYTES = 16 * 1024 * 1024
KINDS: Mapping[str, type[VpcCniError]] = {
    kind.__name__: kind for kind in (CallerError, ConfigurationError, HostError, InternalError)
}


@dataclass(frozen=True, slots=True)
class Request:
    """An operation's name and its arguments by name."""

    op: str
    args: Mapping[str, object]


def encode_line(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def encode_request(request: Request) -> bytes:
    return encode_line({"op": request.op, "args": dict(request.args)})


def parse_request(line: bytes) -> Request:
    """Read a request line.

    Raises:
        CallerError: not a request.
    """
    document = parse_line(line)
    op, args = document.get("op"), document.get("args", {})
    if not isinstance(op, str) or not isinstance(args, dict):
        raise CallerError('a request has an "op" (text) and "args" (object)')
    return Request(op, args)


def parse_line(line: bytes) -> dict[str, object]:
    """Read one line as an object.

    Raises:
        CallerError: no JSON object.
    """
    try:
        document = json.loads(line)
    except ValueError as err:
        raise CallerError(f"not JSON: {line[:80]!r}") from err
    if not isinstance(document, dict):
        raise CallerError(f"not a JSON object: {line[:80]!r}")
    return document


def follow(lines: Iterable[bytes], on_progress: Callable[[str], None]) -> dict[str, object] | None:
    """Read answer lines up to the last one; return it, or None when the lines end before.

    Raises:
        VpcCniError: what an error line stands for.
    """
    for line in lines:
        document = parse_line(line)
        error = document.get("error")
        if isinstance(error, dict):
            raise decode_error(error)
        if "progress" not in document:
            return document
        on_progress(str(document["progress"]))
    return None


def encode_error(error: VpcCniError) -> bytes:
    """Return the last line of a failed request. A class unknown to the wire travels as its nearest known parent."""
    kind = next((cls.__name__ for cls in type(error).__mro__ if cls.__name__ in KINDS), HostError.__name__)
    return encode_line({"error": {"kind": kind, "message": error.message, "hint": error.hint}})


def decode_error(document: Mapping[str, object]) -> VpcCniError:
    """Return the exception that an ``error`` object stands for."""
    kind = KINDS.get(str(document.get("kind")), HostError)
    return kind(str(document.get("message", "the lab gave no reason")), hint=str(document.get("hint", "")))
