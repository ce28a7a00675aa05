"""Framing of netlink messages: headers, attributes, error answers. Pure.

A message is a 16-byte header, a fixed part that depends on its type, and attributes (length, type, payload),
everything padded to 4 bytes and in host byte order. Source: linux/netlink.h; kernel document "Netlink handbook".
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from vpc_cni.netlink import uapi

HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_U32 = struct.Struct("=I")
_U32_ATTRIBUTE = struct.Struct("=HHI")
_ATTRIBUTE_OF_4 = struct.Struct("=HH4s")
_VERDICT = struct.Struct("=IHHIIi")
_ERRNO = struct.Struct("=i")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
_NESTED = 0x8000


class Message(NamedTuple):
    """One request to the kernel, without sequence number.

    ``describe`` names the operation, for errors alone; ``tolerate`` holds errno values that count as success.
    """

    type: int
    flags: int
    body: bytes
    describe: Callable[[], str]
    tolerate: frozenset[int] = frozenset()

    @property
    def label(self) -> str:
        return self.describe()

    def tolerating(self, *errnos: int) -> "Message":
        """Return the same request, with more failures that count as success."""
        return Message(self.type, self.flags, self.body, self.describe, self.tolerate.union(errnos))


class Answer(NamedTuple):
    """One message from the kernel; ``body`` has fixed part and attributes."""

    type: int
    flags: int
    sequence: int
    body: bytes


class Verdict(NamedTuple):
    """Content of NLMSG_ERROR: errno (0 for an acknowledgement) and the kernel's own words, often empty."""

    errno: int
    text: str


def attribute(kind: int, payload: bytes) -> bytes:
    """Encode one attribute."""
    size = len(payload)
    if size == 4:  # an IPv4 address: most of them
        return _ATTRIBUTE_OF_4.pack(8, kind, payload)
    return _ATTRIBUTE.pack(size + 4, kind) + payload + _PADDING[size & 3]


def u32(kind: int, value: int) -> bytes:
    """Encode an attribute that holds one unsigned 32-bit number."""
    return _U32_ATTRIBUTE.pack(8, kind, value)


def text(kind: int, value: str) -> bytes:
    """Encode a zero-terminated string."""
    return attribute(kind, value.encode() + b"\0")


def nested(kind: int, *parts: bytes) -> bytes:
    """Encode an attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(parts))


def encode_message(message: Message, flags: int, sequence: int) -> bytes:
    """Return the bytes to send; ``flags`` are added to those of the message."""
    body = message.body
    return (
        HEADER.pack(16 + len(body), message.type, message.flags | flags, sequence, 0) + body + _PADDING[len(body) & 3]
    )


def iter_answers(data: bytes) -> Iterator[Answer]:
    """Split one datagram into messages. Stops at the first length that cannot be true."""
    offset, end = 0, len(data)
    while offset + 16 <= end:
        length, kind, flags, sequence, _port = HEADER.unpack_from(data, offset)
        if length < 16 or offset + length > end:
            return
        yield Answer(kind, flags, sequence, data[offset + 16 : offset + length])
        offset += (length + 3) & ~3


def iter_attributes(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield (type, payload) from ``offset`` to the end. Stops at the first length that cannot be true."""
    end = len(data)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or offset + length > end:
            return
        yield kind & uapi.NLA_TYPE_MASK, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def parse_attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Return attributes by type; of equal types the last one counts, as in the kernel."""
    return dict(iter_attributes(data, offset))


def parse_u32(payload: bytes) -> int:
    """Decode an attribute that holds one unsigned 32-bit number."""
    value: int = _U32.unpack_from(payload)[0]
    return value


def parse_text(payload: bytes) -> str:
    """Decode a string with or without its terminator."""
    return payload.rstrip(b"\0").decode(errors="replace")


def is_acknowledgement(data: bytes, sequence: int) -> bool:
    """Whether a datagram says that the request of this number succeeded. Cost: that of one look."""
    if len(data) < _VERDICT.size:
        return False
    _length, kind, _flags, number, _port, errno = _VERDICT.unpack_from(data)
    return bool(kind == uapi.NLMSG_ERROR and number == sequence and errno == 0)


def parse_verdict(answer: Answer) -> Verdict:
    """Decode NLMSG_ERROR of a socket with NETLINK_CAP_ACK: errno, request header, then attributes."""
    errno = -int(_ERRNO.unpack_from(answer.body)[0])
    if not answer.flags & uapi.NLM_F_ACK_TLVS:
        return Verdict(errno, "")
    words = parse_attributes(answer.body, 4 + HEADER.size).get(uapi.NLMSGERR_ATTR_MSG, b"")
    return Verdict(errno, parse_text(words))


def parse_done_errno(answer: Answer) -> int:
    """Return the errno that ended a dump, 0 when it is whole."""
    return -int(_ERRNO.unpack_from(answer.body)[0]) if len(answer.body) >= 4 else 0
