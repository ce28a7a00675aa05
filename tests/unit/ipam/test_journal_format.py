"""The format of the journal: bytes of version 1, newer writers, and every kind of damage by name."""

import struct
import zlib
from ipaddress import IPv4Address

import msgspec
import pytest

from vpc_cni.ipam import (
    AddAbandoned,
    AddCommitted,
    AddIntent,
    CheckpointWritten,
    DamageKind,
    Ec2Intent,
    Ec2Operation,
    Ec2Outcome,
    LinkGone,
    Quarantined,
    QuarantineReason,
    Record,
    Released,
    Resolved,
    encode_header,
    encode_record,
    encode_records,
    read_journal,
)
from vpc_cni.ipam.journal import HEADER_BYTES, MAGIC
from vpc_cni.model import Allocation, Cooling, PodIdentity, SandboxKey

BOOT_ID = "6f1ed002-ab5a-4b0f-9e8e-0123456789ab"
KEY = SandboxKey("aws-cni", "c0ffee", "eth0")
IP5, IP6, IP7 = (IPv4Address(f"10.0.0.{last}") for last in (5, 6, 7))
POD = PodIdentity("default", "web-0", "u-1")
ALLOCATION = Allocation(KEY, IP5, "eni-1", 2, POD, 1_700_000_000_000_000_000)

HEADER_V1 = "76636e696a726e6c010100006f1ed002ab5a4b0f9e8e0123456789ab89c40db3"

# Never change a line of this table: journals like these lie on nodes. New records are new lines.
RECORDS_V1: list[tuple[Record, str]] = [
    (
        AddIntent.of(ALLOCATION, "eni0d7763386da"),
        "0000004c197ab2ff77a7bc059c01a76177732d636e69a6633066666565a465746830a764656661756c74a57765622d30a3752d31ce0a000005"
        "a5656e692d3102cf17979cfe362a0000ae656e693064373736333338366461",
    ),
    (
        AddCommitted.of(KEY, 7, "02:00:00:00:00:01", "02:00:00:00:00:02"),
        "0000003b44f7e1c5bb4508539702a76177732d636e69a6633066666565a46574683007b130323a30303a30303a30303a30303a3031b130323a"
        "30303a30303a30303a30303a3032",
    ),
    (AddAbandoned.of(KEY), "0000001606cbf08f5ba8e43a9403a76177732d636e69a6633066666565a465746830"),
    (
        Released.of(Cooling(KEY, IP5, "eni-1", 130.5)),
        "0000002b24b855ce8c3e101b9804a76177732d636e69a6633066666565a465746830ce0a000005a5656e692d31cb4060500000000000c2",
    ),
    (LinkGone.of(KEY, IP5), "0000001ba0f29c7f94776efa9505a76177732d636e69a6633066666565a465746830ce0a000005"),
    (
        Ec2Intent("t1", Ec2Operation.CREATE, count=3, device_number=2, subnet_id="subnet-1"),
        "0000001a6db5725ad31ce0f19906a27431a6637265617465a0039002a87375626e65742d31a0",
    ),
    (
        Ec2Outcome("t1", Ec2Operation.CREATE, done=True, eni_id="eni-2", addresses=(IP6,)),
        "0000001a7af6339a1e0800ba9707a27431a6637265617465c3a5656e692d3291ce0a000006a0",
    ),
    (
        Quarantined(IP7, "eni-1", QuarantineReason.TWO_OWNERS, 12.0, "why"),
        "00000024bbc17b163362762d9608ce0a000007a5656e692d31a954776f4f776e657273cb4028000000000000a3776879",
    ),
    (Resolved(IP7), "0000000765c8cade143803a79209ce0a000007"),
    (CheckpointWritten("ab"), "0000000507ffb095ea2d953e920aa26162"),
]


def frame(payload: bytes) -> bytes:
    head = struct.pack(">II", len(payload), zlib.crc32(payload))
    return head + struct.pack(">I", zlib.crc32(head)) + payload


def header(version: int, min_version: int) -> bytes:
    head = struct.pack(">8sBBH16s", MAGIC, version, min_version, 0, bytes(16))
    return head + struct.pack(">I", zlib.crc32(head))


@pytest.mark.parametrize(("record", "text"), RECORDS_V1, ids=lambda value: type(value).__name__)
def test_bytes_of_version_1(record: Record, text: str) -> None:
    assert encode_record(record).hex() == text
    assert read_journal(bytes.fromhex(HEADER_V1 + text)).records == (record,)


def test_header_of_version_1() -> None:
    assert encode_header(BOOT_ID + "\n").hex() == HEADER_V1
    assert read_journal(bytes.fromhex(HEADER_V1)).boot_id == BOOT_ID


def test_every_record_has_its_bytes_here() -> None:
    assert {type(record) for record, _ in RECORDS_V1} == set(Record.__args__)


def test_records_give_back_what_they_were_made_of() -> None:
    assert AddIntent.of(ALLOCATION, "eni0").allocation == ALLOCATION
    cooling = Cooling(KEY, IP5, "eni-1", 1.5, link_gone=True)
    assert Released.of(cooling).cooling == cooling


class TestNewerWriter:
    def test_unknown_records_and_fields_are_skipped(self) -> None:
        known = msgspec.msgpack.encode([9, int(IP7), "a field of version 2"])
        unknown = msgspec.msgpack.encode([99, "a record of version 2"])
        read = read_journal(header(2, 1) + frame(unknown) + frame(known))
        assert (read.version, read.records, read.damage) == (2, (Resolved(IP7),), ())

    def test_unknown_record_of_our_own_version_is_damage(self) -> None:
        read = read_journal(header(1, 1) + frame(msgspec.msgpack.encode([99, "?"])))
        assert [damage.kind for damage in read.damage] == [DamageKind.BAD_CONTENT]

    def test_journal_that_needs_a_newer_reader_is_lost_by_name(self) -> None:
        read = read_journal(header(3, 2) + encode_record(Resolved(IP7)))
        assert read.records == ()
        assert [damage.kind for damage in read.damage] == [DamageKind.NEWER_VERSION]
        assert not read.is_intact


class TestDamage:
    def test_empty_file_is_no_damage(self) -> None:
        read = read_journal(b"")
        assert (read.records, read.damage, read.is_intact) == ((), (), True)

    def test_header_cut_short_is_a_torn_tail(self) -> None:
        read = read_journal(encode_header(BOOT_ID)[:-1])
        assert read.is_intact
        assert read.end == 0

    @pytest.mark.parametrize("position", range(HEADER_BYTES))
    def test_no_byte_of_the_header_is_taken_on_trust(self, position: int) -> None:
        data = bytearray(encode_header(BOOT_ID) + encode_record(Resolved(IP7)))
        data[position] ^= 1
        read = read_journal(bytes(data))
        assert read.records == ()
        assert [damage.kind for damage in read.damage] == [DamageKind.BAD_HEADER]

    def test_damaged_length_in_the_middle_is_no_torn_tail(self) -> None:
        records = [Resolved(IP5), Resolved(IP6), Resolved(IP7)]
        data = bytearray(encode_header(BOOT_ID) + encode_records(records))
        data[HEADER_BYTES + len(encode_record(records[0]))] = 0xFF
        read = read_journal(bytes(data))
        assert read.records == (records[0],)
        assert [damage.kind for damage in read.damage] == [DamageKind.BAD_FRAME]
        assert not read.is_intact
        assert str(read.damage[0]) == "bad-frame: 38 bytes at offset 51 are lost"

    @pytest.mark.parametrize(
        "content",
        [[9, True], [9, -1], [9, 2**32], [9, "10.0.0.1"], [9], [1, "only", "some"], {}, 7, None, [8, 1, "e", "?", 1.0]],
        ids=str,
    )
    def test_well_framed_nonsense_is_bad_content(self, content: object) -> None:
        read = read_journal(encode_header(BOOT_ID) + frame(msgspec.msgpack.encode(content)))
        assert read.records == ()
        assert [damage.kind for damage in read.damage] == [DamageKind.BAD_CONTENT]
