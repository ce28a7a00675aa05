"""Framing: round trips, and bytes that no kernel should send."""

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpc_cni.netlink import uapi, wire
from vpc_cni.netlink.wire import Answer, Message

attributes = st.lists(st.tuples(st.integers(1, 0x3FFF), st.binary(max_size=40)), max_size=8)


@given(attributes)
def test_attributes_are_read_back_in_order(values: list[tuple[int, bytes]]) -> None:
    encoded = b"".join(wire.attribute(kind, payload) for kind, payload in values)
    assert len(encoded) % 4 == 0
    assert list(wire.iter_attributes(encoded)) == values


@given(st.lists(st.tuples(st.integers(16, 110), st.binary(max_size=40)), max_size=6))
def test_messages_are_read_back_in_order(values: list[tuple[int, bytes]]) -> None:
    datagram = b"".join(
        wire.encode_message(Message(kind, 0x600, body, "x"), 0x5, number) for number, (kind, body) in enumerate(values)
    )
    expected = [Answer(kind, 0x605, number, body) for number, (kind, body) in enumerate(values)]
    assert list(wire.iter_answers(datagram)) == expected


@given(st.binary(max_size=200))
def test_arbitrary_bytes_end_the_reading_quietly(data: bytes) -> None:
    assert len(list(wire.iter_answers(data))) <= len(data) // 16
    assert len(list(wire.iter_attributes(data))) <= len(data) // 4


@pytest.mark.parametrize("length", [0, 3, 9, 0xFFFF], ids=["zero", "below header", "beyond end", "huge"])
def test_an_attribute_with_an_impossible_length_is_not_read(length: int) -> None:
    assert list(wire.iter_attributes(struct.pack("=HHI", length, 1, 7))) == []


@pytest.mark.parametrize("value", [0, 1, 0x80, 0xFFFFFFFF])
def test_numbers_are_read_back(value: int) -> None:
    assert wire.parse_u32(wire.parse_attributes(wire.u32(7, value))[7]) == value


@pytest.mark.parametrize("value", ["", "eth0", "eni0123456789a"])
def test_strings_are_read_back_without_their_terminator(value: str) -> None:
    payload = wire.parse_attributes(wire.text(3, value))[3]
    assert payload.endswith(b"\0")
    assert wire.parse_text(payload) == value


def test_nesting_is_marked_on_the_wire_and_unmarked_when_read() -> None:
    encoded = wire.nested(18, wire.text(1, "veth"))
    assert struct.unpack_from("=HH", encoded)[1] == 18 | 0x8000
    assert wire.parse_text(wire.parse_attributes(wire.parse_attributes(encoded)[18])[1]) == "veth"


def verdict_bytes(number: int, words: str) -> bytes:
    header = wire.HEADER.pack(36, 24, 5, 1, 0)
    return struct.pack("=i", -number) + header + (wire.text(1, words) if words else b"")


def test_a_refusal_carries_the_kernels_words() -> None:
    answer = Answer(2, 0x300, 1, verdict_bytes(errno.EINVAL, "Nexthop has invalid gateway"))
    assert wire.parse_verdict(answer) == (errno.EINVAL, "Nexthop has invalid gateway")


def test_an_acknowledgement_is_errno_zero() -> None:
    assert wire.parse_verdict(Answer(2, 0x100, 1, verdict_bytes(0, ""))) == (0, "")


def test_tolerated_errors_add_up() -> None:
    message = Message(24, 0, b"", "x").tolerating(errno.EEXIST).tolerating(errno.ENOENT)
    assert message.tolerate == {errno.EEXIST, errno.ENOENT}


def verdict(number: int, sequence: int, kind: int = uapi.NLMSG_ERROR) -> bytes:
    return wire.HEADER.pack(36, kind, 0, sequence, 0) + struct.pack("=i", -number) + wire.HEADER.pack(0, 0, 0, 0, 0)


def test_an_acknowledgement_is_a_success_of_the_request_that_was_asked_for() -> None:
    assert wire.is_acknowledgement(verdict(0, 7), 7)
    assert not wire.is_acknowledgement(verdict(0, 6), 7)
    assert not wire.is_acknowledgement(verdict(errno.EEXIST, 7), 7)
    assert not wire.is_acknowledgement(verdict(0, 7, uapi.RTM_NEWLINK), 7)
    assert not wire.is_acknowledgement(verdict(0, 7)[:19], 7)
