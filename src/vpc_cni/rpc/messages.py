"""The three messages between plugin and agent, and their fields.

Pure. Encoding and decoding are inverse for every value that the constructors accept; unknown fields are skipped.
The table of tags is docs/architecture.md, "Wire format".
"""

import enum
import struct
from dataclasses import dataclass

from vpc_cni.errors import CallerError, CniCode
from vpc_cni.rpc.frames import Field, Frame, FrameType, encode_frame, malformed, pick_fields

_U32 = struct.Struct("!I")
_U64 = struct.Struct("!Q")


class Tag(enum.IntEnum):
    """Field tags. Numbers are never reused."""

    COMMAND = 1
    CONTAINER_ID = 2
    NETNS = 3
    IFNAME = 4
    ARGS = 5
    PATH = 6
    CONFIG = 7
    DEADLINE_MS = 8
    SHIM_VERSION = 9
    DESCRIPTORS = 10
    RELEASED_AT_MS = 11
    EXIT_CODE = 32
    STDOUT = 33
    AGENT_VERSION = 34
    STATE = 48


_REQUEST_TAGS = frozenset(tag for tag in Tag if tag < Tag.EXIT_CODE)
_RESULT_TAGS = frozenset({Tag.EXIT_CODE, Tag.STDOUT, Tag.AGENT_VERSION})
_PROGRESS_TAGS = frozenset({Tag.STATE})

# The variable that a text field carries, for messages about it.
_VARIABLES = {
    Tag.COMMAND: "CNI_COMMAND",
    Tag.CONTAINER_ID: "CNI_CONTAINERID",
    Tag.NETNS: "CNI_NETNS",
    Tag.IFNAME: "CNI_IFNAME",
    Tag.ARGS: "CNI_ARGS",
    Tag.PATH: "CNI_PATH",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What the container runtime asked of the plugin, unparsed.

    The CNI variables are as given; None when unset. ``config`` is the plugin's stdin. ``deadline_ms`` is the time left
    for the whole exchange when the frame was written. ``descriptors`` has one letter for each passed descriptor, in
    order: ``s`` netlink socket opened inside the pod's namespace, ``n`` the namespace. ``released_at_ms`` is set in
    spool files only: CLOCK_BOOTTIME milliseconds at which the plugin recorded the DEL.
    """

    command: str
    config: bytes
    container_id: str | None = None
    netns: str | None = None
    ifname: str | None = None
    args: str | None = None
    path: str | None = None
    deadline_ms: int = 0
    shim_version: str = ""
    descriptors: str = ""
    released_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The agent's answer: ends the exchange. ``stdout`` is printed by the plugin as it is; may be empty."""

    exit_code: int
    stdout: bytes = b""
    agent_version: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """The request is known and being worked on. ``state`` is for people: what it waits for."""

    state: str = ""


def request_fields(request: Request) -> tuple[Field, ...]:
    """List the fields of a request; unset ones are absent. Pure."""
    optional: tuple[tuple[Tag, str | None], ...] = (
        (Tag.CONTAINER_ID, request.container_id),
        (Tag.NETNS, request.netns),
        (Tag.IFNAME, request.ifname),
        (Tag.ARGS, request.args),
        (Tag.PATH, request.path),
    )
    fields: list[Field] = [(Tag.COMMAND, request.command.encode())]
    fields += [(tag, text.encode()) for tag, text in optional if text is not None]
    fields.append((Tag.CONFIG, request.config))
    fields.append((Tag.DEADLINE_MS, _U32.pack(request.deadline_ms)))
    fields.append((Tag.SHIM_VERSION, request.shim_version.encode()))
    fields.append((Tag.DESCRIPTORS, request.descriptors.encode()))
    if request.released_at_ms is not None:
        fields.append((Tag.RELEASED_AT_MS, _U64.pack(request.released_at_ms)))
    return tuple(fields)


def encode_request(request: Request) -> bytes:
    """Encode a request as one frame. Pure. Raises CallerError when it is too large."""
    return encode_frame(Frame(FrameType.REQUEST, request_fields(request)))


def encode_result(result: Result) -> bytes:
    """Encode an answer as one frame. Pure. Raises CallerError when it is too large."""
    fields = (
        (Tag.EXIT_CODE, _U32.pack(result.exit_code)),
        (Tag.STDOUT, result.stdout),
        (Tag.AGENT_VERSION, result.agent_version.encode()),
    )
    return encode_frame(Frame(FrameType.RESULT, fields))


def encode_progress(progress: Progress) -> bytes:
    """Encode a sign of life as one frame. Pure."""
    return encode_frame(Frame(FrameType.PROGRESS, ((Tag.STATE, progress.state.encode()),)))


def decode_request(frame: Frame) -> Request:
    """Read a REQUEST frame. Pure.

    Raises:
        CallerError: another type of frame, a field is missing, cut or not UTF-8.
    """
    if frame.type != FrameType.REQUEST:
        raise malformed(f"type {frame.type} where a request was expected")
    fields = pick_fields(frame.fields, _REQUEST_TAGS)
    for tag in (Tag.COMMAND, Tag.CONFIG):
        if tag not in fields:
            raise malformed(f"request without {tag.name}")
    return Request(
        command=_text(fields, Tag.COMMAND) or "",
        config=fields[Tag.CONFIG],
        container_id=_text(fields, Tag.CONTAINER_ID),
        netns=_text(fields, Tag.NETNS),
        ifname=_text(fields, Tag.IFNAME),
        args=_text(fields, Tag.ARGS),
        path=_text(fields, Tag.PATH),
        deadline_ms=_number(fields, Tag.DEADLINE_MS, _U32) or 0,
        shim_version=_text(fields, Tag.SHIM_VERSION) or "",
        descriptors=_text(fields, Tag.DESCRIPTORS) or "",
        released_at_ms=_number(fields, Tag.RELEASED_AT_MS, _U64),
    )


def decode_answer(frame: Frame) -> Result | Progress | None:
    """Read a frame from the agent; None for a type that a later version has added. Pure.

    Raises:
        CallerError: a request, or a field is missing, cut or not UTF-8.
    """
    if frame.type == FrameType.RESULT:
        fields = pick_fields(frame.fields, _RESULT_TAGS)
        exit_code = _number(fields, Tag.EXIT_CODE, _U32)
        if exit_code is None:
            raise malformed("result without EXIT_CODE")
        return Result(exit_code, fields.get(Tag.STDOUT, b""), _text(fields, Tag.AGENT_VERSION) or "")
    if frame.type == FrameType.PROGRESS:
        return Progress(_text(pick_fields(frame.fields, _PROGRESS_TAGS), Tag.STATE) or "")
    if frame.type == FrameType.REQUEST:
        raise malformed("a request where an answer was expected")
    return None


def _text(fields: dict[int, bytes], tag: Tag) -> str | None:
    data = fields.get(tag)
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as err:
        name = _VARIABLES.get(tag, tag.name)
        raise CallerError(
            f"{name} is not UTF-8 text at byte {err.start}",
            hint=f"the container runtime must pass {name} as plain text",
            cni_code=CniCode.INVALID_ENVIRONMENT,
        ) from err


def _number(fields: dict[int, bytes], tag: Tag, layout: struct.Struct) -> int | None:
    data = fields.get(tag)
    if data is None:
        return None
    if len(data) != layout.size:
        raise malformed(f"{tag.name} has {len(data)} bytes instead of {layout.size}")
    value: int = layout.unpack(data)[0]
    return value
