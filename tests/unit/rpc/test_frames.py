"""The envelope: header, fields, bounds, versions."""

import struct

import pytest

from vpc_cni.errors import CallerError, CniCode
from vpc_cni.rpc.frames import (
    HEADER_BYTES,
    MAX_PAYLOAD_BYTES,
    VERSION,
    Frame,
    FrameBuffer,
    decode_frame,
    decode_header,
    encode_frame,
    pick_fields,
)

FRAME = Frame(1, ((1, b"ADD"), (7, b"{}"), (999, b"")))


def header(*, magic=b"vcni", version=VERSION, min_version=1, frame_type=1, flags=0, length=0):
    return struct.pack("!4sBBBBI", magic, version, min_version, frame_type, flags, length)


def test_layout_is_the_documented_one():
    assert (
        encode_frame(Frame(1, ((7, b"ab"),))) == b"vcni\x01\x01\x01\x00\x00\x00\x00\x08" + b"\x00\x07\x00\x00\x00\x02ab"
    )


def test_decode_is_the_inverse():
    assert decode_frame(encode_frame(FRAME)) == FRAME


def test_an_empty_payload_is_a_frame():
    assert decode_frame(header()) == Frame(1, ())


@pytest.mark.parametrize("flags", [0, 1, 255])
def test_flags_are_reserved_and_ignored(flags):
    assert decode_frame(header(flags=flags)) == Frame(1, ())


@pytest.mark.parametrize(
    ("version", "min_version"),
    [(VERSION - 1, 0), (VERSION, 1), (VERSION + 1, VERSION), (255, VERSION)],
    ids=["older", "same", "newer", "much newer"],
)
def test_versions_that_are_read(version, min_version):
    assert decode_header(header(version=version, min_version=min_version)).version == version


def test_a_frame_for_newer_readers_is_refused_as_passing():
    with pytest.raises(CallerError, match=f"needs a reader of version {VERSION + 1}") as caught:
        decode_header(header(version=VERSION + 1, min_version=VERSION + 1))
    assert caught.value.cni_code == CniCode.TRY_AGAIN_LATER
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (header(magic=b"HTTP"), "magic"),
        (header(length=MAX_PAYLOAD_BYTES + 1), "exceeds"),
        (header(length=0xFFFFFFFF), "exceeds"),
        (header(length=1), "cut after 12 bytes"),
        (header(length=5) + b"\x00\x01\x00\x00\x00", "field header cut"),
        (header(length=7) + struct.pack("!HIB", 1, 2, 0), "beyond the payload"),
        (header(length=6) + struct.pack("!HI", 1, 0xFFFFFFFF), "beyond the payload"),
        (header() + b"x", "follow the frame"),
        (b"", "cut after 0 bytes"),
        (b"vcni", "cut after 4 bytes"),
    ],
)
def test_malformed_frames(data, words):
    with pytest.raises(CallerError, match=words) as caught:
        decode_frame(data)
    assert caught.value.cni_code == CniCode.DECODING_FAILURE


def test_a_header_is_refused_before_its_payload_comes():
    with pytest.raises(CallerError, match="exceeds"):
        FrameBuffer().feed(header(length=1 << 30))


def test_too_large_a_payload_is_not_written():
    with pytest.raises(CallerError, match="exceeds"):
        encode_frame(Frame(1, ((7, b"x" * MAX_PAYLOAD_BYTES),)))


def test_bytes_one_by_one_make_the_frame_at_the_last():
    data, buffer = encode_frame(FRAME), FrameBuffer()
    assert [buffer.feed(data[n : n + 1]) for n in range(len(data) - 1)] == [None] * (len(data) - 1)
    assert buffer.feed(data[-1:]) == FRAME
    assert buffer.pending_bytes == 0


def test_two_frames_in_one_read_come_one_after_the_other():
    buffer = FrameBuffer()
    assert buffer.feed(encode_frame(FRAME) + encode_frame(Frame(3, ())) + b"vc") == FRAME
    assert buffer.feed(b"") == Frame(3, ())
    assert buffer.feed(b"") is None
    assert buffer.pending_bytes == 2
    assert HEADER_BYTES == 12


def test_unknown_fields_are_skipped_even_when_they_repeat():
    assert pick_fields(((999, b"a"), (1, b"ADD"), (999, b"b")), frozenset({1, 2})) == {1: b"ADD"}


def test_a_known_field_may_come_once():
    with pytest.raises(CallerError, match="field 1 comes twice"):
        pick_fields(((1, b"ADD"), (1, b"DEL")), frozenset({1}))
