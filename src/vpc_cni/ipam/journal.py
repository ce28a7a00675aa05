"""Codec of the journal: bytes to records and back. Files and their flushing belong to the agent.

A journal is a header and then records, only ever appended to; a snapshot is the same stream, shorter.

    header (32 bytes)    8s magic, u8 version, u8 min_version, u16 zero, 16s boot id, u32 CRC-32 of the 28 bytes before
    record               u32 length, u32 CRC-32 of payload, u32 CRC-32 of the 8 bytes before, payload

All numbers are big endian; the payload is a msgpack array, its tag first. The frame has a checksum of its own so that
the length can be trusted: then an incomplete record at the end is told apart from a damaged length in the middle,
and a damaged payload costs one record instead of the rest of the file.

``version`` is the writer's; ``min_version`` the oldest reader that understands the stream. A reader skips tags that it
does not know only in a stream written by a newer version.
"""

import enum
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

import msgspec

from vpc_cni.ipam.records import Record

VERSION = 1
MIN_VERSION = 1
MAGIC = b"vcnijrnl"

_HEADER = struct.Struct(">8sBBH16s")
_FRAME = struct.Struct(">II")
_CRC = struct.Struct(">I")
HEADER_BYTES = _HEADER.size + _CRC.size
FRAME_BYTES = _FRAME.size + _CRC.size


class DamageKind(enum.StrEnum):
    """What is wrong with a stretch of a journal."""

    TORN_TAIL = "torn-tail"
    BAD_HEADER = "bad-header"
    NEWER_VERSION = "newer-version"
    BAD_FRAME = "bad-frame"
    BAD_CHECKSUM = "bad-checksum"
    BAD_CONTENT = "bad-content"


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes from ``offset`` on, ``length`` of them, that yielded no record."""

    kind: DamageKind
    offset: int
    length: int

    def __str__(self) -> str:
        return f"{self.kind}: {self.length} bytes at offset {self.offset} are lost"


@dataclass(frozen=True, slots=True)
class JournalRead:
    """What a journal says.

    Args:
        boot_id: of the header, as in ``/proc/sys/kernel/random/boot_id``; empty when the header is damaged.
        version: of the writer; 0 when the header is damaged.
        records: those that could be read, in order.
        end: offset behind the last readable byte: cut the file there before appending to it.
        damage: stretches without a record, in order.
    """

    boot_id: str
    version: int
    records: tuple[Record, ...]
    end: int
    damage: tuple[Damage, ...] = ()

    @property
    def is_intact(self) -> bool:
        """True when nothing that was ever acted on is lost.

        A torn tail is harmless: records are complete before the agent acts on them.
        """
        return all(damage.kind is DamageKind.TORN_TAIL for damage in self.damage)


def encode_header(boot_id: str) -> bytes:
    """Return the start of a journal; ``boot_id`` is the text of ``/proc/sys/kernel/random/boot_id``."""
    raw = bytes.fromhex(boot_id.strip().replace("-", ""))
    head = _HEADER.pack(MAGIC, VERSION, MIN_VERSION, 0, raw)
    return head + _CRC.pack(zlib.crc32(head))


def encode_record(record: Record) -> bytes:
    """Return the bytes to append for ``record``."""
    payload = _ENCODER.encode(record)
    frame = _FRAME.pack(len(payload), zlib.crc32(payload))
    return frame + _CRC.pack(zlib.crc32(frame)) + payload


def encode_records(records: Iterable[Record]) -> bytes:
    """Return the bytes to append for several records in one write."""
    return b"".join(encode_record(record) for record in records)


def read_journal(data: bytes) -> JournalRead:
    """Read as many records as the bytes hold. Never raises: what cannot be read is reported as damage. Pure."""
    if len(data) < HEADER_BYTES:
        return JournalRead("", 0, (), 0, (Damage(DamageKind.TORN_TAIL, 0, len(data)),) if data else ())
    magic, version, min_version, _, boot_id = _HEADER.unpack_from(data)
    (checksum,) = _CRC.unpack_from(data, _HEADER.size)
    if magic != MAGIC or checksum != zlib.crc32(data[: _HEADER.size]):
        return JournalRead("", 0, (), 0, (Damage(DamageKind.BAD_HEADER, 0, len(data)),))
    if min_version > VERSION:
        return JournalRead(_boot_id_text(boot_id), version, (), 0, (Damage(DamageKind.NEWER_VERSION, 0, len(data)),))
    reader = _Reader(data, version)
    reader.run()
    return JournalRead(_boot_id_text(boot_id), version, tuple(reader.records), reader.end, tuple(reader.damage))


class _Reader:
    """Walks over the frames of a journal."""

    def __init__(self, data: bytes, version: int) -> None:
        self._data = data
        self._version = version
        self.records: list[Record] = []
        self.damage: list[Damage] = []
        self.end = HEADER_BYTES

    def run(self) -> None:
        while self.end < len(self._data) and self._read_one():
            pass

    def _read_one(self) -> bool:
        """Read the record at ``end``; return False when nothing behind it can be read."""
        data, start = self._data, self.end
        left = len(data) - start
        if left < FRAME_BYTES:
            return self._stop(DamageKind.TORN_TAIL, left)
        frame = data[start : start + _FRAME.size]
        length, checksum = _FRAME.unpack(frame)
        if _CRC.unpack_from(data, start + _FRAME.size)[0] != zlib.crc32(frame):
            return self._stop(DamageKind.BAD_FRAME, left)
        if left < FRAME_BYTES + length:
            return self._stop(DamageKind.TORN_TAIL, left)
        payload = data[start + FRAME_BYTES : start + FRAME_BYTES + length]
        self.end = start + FRAME_BYTES + length
        if zlib.crc32(payload) != checksum:
            self.damage.append(Damage(DamageKind.BAD_CHECKSUM, start, FRAME_BYTES + length))
        else:
            self._decode(payload, start)
        return True

    def _decode(self, payload: bytes, start: int) -> None:
        try:
            self.records.append(_DECODER.decode(payload))
        except (msgspec.MsgspecError, ValueError):
            if not (self._version > VERSION and _tag(payload) not in _KNOWN_TAGS):
                self.damage.append(Damage(DamageKind.BAD_CONTENT, start, self.end - start))

    def _stop(self, kind: DamageKind, length: int) -> bool:
        self.damage.append(Damage(kind, self.end, length))
        return False


def _tag(payload: bytes) -> object:
    try:
        content = msgspec.msgpack.decode(payload)
    except (msgspec.MsgspecError, ValueError):
        return None
    return content[0] if isinstance(content, list) and content else None


def _boot_id_text(raw: bytes) -> str:
    digits = raw.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _encode_address(value: Any) -> int:
    if isinstance(value, IPv4Address):
        return int(value)
    raise NotImplementedError(f"the journal holds no {type(value).__name__}")


def _decode_address(kind: type, value: Any) -> Any:
    # bool is an int, and IPv4Address(True) would be 0.0.0.1.
    if kind is IPv4Address and type(value) is int:
        return IPv4Address(value)
    raise ValueError(f"not an address: {value!r}")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_encode_address)
_DECODER: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record, dec_hook=_decode_address)
_KNOWN_TAGS = frozenset(range(1, 11))
