"""Frames and fields: the envelope of every message between plugin and agent.

Pure. Knows nothing of the meaning of a field (``messages``) or of sockets (``transport``).

A frame is a 12 byte header, network byte order, and a payload of fields:

    magic "vcni" | u8 version | u8 min_version | u8 type | u8 flags | u32 payload length
    field: u16 tag | u32 length | bytes

``version`` is the writer's; ``min_version`` is the oldest reader that understands this frame. A reader compares only
``min_version`` with its own version, so a newer writer stays readable as long as it only adds fields.
"""

import enum
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from vpc_cni.errors import CallerError, CniCode

MAGIC = b"vcni"
VERSION = 1
MIN_VERSION = 1
MAX_CONFIG_BYTES = 1 << 20
# The configuration, and room for the CNI variables and the field headers.
MAX_PAYLOAD_BYTES = MAX_CONFIG_BYTES + (128 << 10)

_HEADER = struct.Struct("!4sBBBBI")
_FIELD = struct.Struct("!HI")
HEADER_BYTES = _HEADER.size

Field = tuple[int, bytes]


class FrameType(enum.IntEnum):
    """What a frame says. A reader that may see later types compares integers, not members."""

    REQUEST = 1
    RESULT = 2
    PROGRESS = 3


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. ``fields`` keeps the writer's order and may hold tags unknown to the reader."""

    type: int
    fields: tuple[Field, ...]
    version: int = VERSION
    min_version: int = MIN_VERSION


def malformed(message: str) -> CallerError:
    """Build the error for bytes that are not a frame of this protocol."""
    return CallerError(
        f"malformed frame: {message}",
        hint="only the aws-cni plugin of this release or its neighbours may write to this socket",
        cni_code=CniCode.DECODING_FAILURE,
    )


def encode_frame(frame: Frame) -> bytes:
    """Encode a frame. Pure.

    Raises:
        CallerError: the payload would exceed MAX_PAYLOAD_BYTES.
    """
    payload = b"".join(_FIELD.pack(tag, len(data)) + data for tag, data in frame.fields)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise malformed(f"payload of {len(payload)} bytes exceeds {MAX_PAYLOAD_BYTES}")
    return _HEADER.pack(MAGIC, frame.version, frame.min_version, frame.type, 0, len(payload)) + payload


@dataclass(frozen=True, slots=True)
class Header:
    """The first 12 bytes of a frame."""

    version: int
    min_version: int
    type: int
    payload_bytes: int


def decode_header(data: bytes | bytearray | memoryview) -> Header:
    """Decode and judge a header, before anything is allocated for its payload. Pure.

    Raises:
        CallerError: wrong magic, too large, or written for newer readers only (code 11: an upgrade is under way).
    """
    magic, version, min_version, frame_type, _flags, length = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise malformed(f"magic is {magic!r}")
    if min_version > VERSION:
        raise CallerError(
            f"frame of version {version} needs a reader of version {min_version}, this is {VERSION}",
            hint="plugin and agent are too far apart; finish the roll-out of the aws-node DaemonSet",
            cni_code=CniCode.TRY_AGAIN_LATER,
            retryable=True,
        )
    if length > MAX_PAYLOAD_BYTES:
        raise malformed(f"payload of {length} bytes exceeds {MAX_PAYLOAD_BYTES}")
    return Header(version, min_version, frame_type, length)


def decode_fields(payload: bytes) -> tuple[Field, ...]:
    """Split a payload into its fields, in order. Pure.

    Raises:
        CallerError: a field reaches beyond the payload.
    """
    fields: list[Field] = []
    offset = 0
    while offset < len(payload):
        if offset + _FIELD.size > len(payload):
            raise malformed(f"field header cut at byte {offset}")
        tag, length = _FIELD.unpack_from(payload, offset)
        offset += _FIELD.size
        if length > len(payload) - offset:
            raise malformed(f"field {tag} of {length} bytes reaches beyond the payload")
        fields.append((tag, payload[offset : offset + length]))
        offset += length
    return tuple(fields)


def decode_frame(data: bytes) -> Frame:
    """Decode exactly one whole frame. Pure.

    Raises:
        CallerError: not one frame, or not readable by this version.
    """
    buffer = FrameBuffer()
    frame = buffer.feed(data)
    if frame is None:
        raise malformed(f"cut after {len(data)} bytes")
    if buffer.pending_bytes:
        raise malformed(f"{buffer.pending_bytes} bytes follow the frame")
    return frame


def pick_fields(fields: Iterable[Field], known: frozenset[int]) -> dict[int, bytes]:
    """Map the known tags to their bytes; skip unknown ones. Pure.

    Raises:
        CallerError: a known tag comes twice.
    """
    picked: dict[int, bytes] = {}
    for tag, data in fields:
        if tag not in known:
            continue
        if tag in picked:
            raise malformed(f"field {tag} comes twice")
        picked[tag] = data
    return picked


class FrameBuffer:
    """Collects stream bytes into frames. No I/O; never holds more than one payload and one read beyond it."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._header: Header | None = None

    @property
    def pending_bytes(self) -> int:
        """Bytes received that belong to no complete frame yet."""
        return len(self._data)

    def feed(self, data: bytes) -> Frame | None:
        """Add bytes; return the first complete frame, or None when more bytes are needed.

        ``feed(b"")`` returns a further frame that an earlier call already completed.

        Raises:
            CallerError: the bytes are not a frame that this version reads. The buffer is useless then.
        """
        if not self._data and len(data) >= HEADER_BYTES and self._header is None:
            header = decode_header(data)
            if len(data) == HEADER_BYTES + header.payload_bytes:  # the usual case: one read, one frame
                return Frame(header.type, decode_fields(data[HEADER_BYTES:]), header.version, header.min_version)
        self._data += data
        if self._header is None:
            if len(self._data) < HEADER_BYTES:
                return None
            self._header = decode_header(self._data)
        header = self._header
        end = HEADER_BYTES + header.payload_bytes
        if len(self._data) < end:
            return None
        payload = bytes(self._data[HEADER_BYTES:end])
        del self._data[:end]
        self._header = None
        return Frame(header.type, decode_fields(payload), header.version, header.min_version)
