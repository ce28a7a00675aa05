"""Requests, results and signs of life; spool files and the marker are made of them."""

import dataclasses
import struct

import pytest

from vpc_cni.errors import CallerError, CniCode
from vpc_cni.model import SandboxKey
from vpc_cni.rpc import (
    Frame,
    FrameType,
    Progress,
    Request,
    Result,
    Tag,
    decode_answer,
    decode_frame,
    decode_request,
    decode_spooled,
    encode_frame,
    encode_progress,
    encode_request,
    encode_result,
    encode_spooled,
    spool_name,
    write_marker,
)
from vpc_cni.rpc.marker import encode_marker, remove_marker
from vpc_cni.rpc.messages import request_fields
from vpc_cni.rpc.spool import MAX_FILE_BYTES

ADD = Request("ADD", b"{}", "c", "/n", "eth0", "A=ü", "/opt", 60_000, "1.0", "sn")
RECORDED = Request("DEL", b"{}", "c", ifname="eth0", released_at_ms=(1 << 40) + 7)


@pytest.mark.parametrize("request_", [ADD, RECORDED, Request("GC", b""), Request("ADD", b"{}", "", "", "", "", "")])
def test_requests_survive_the_wire(request_):
    assert decode_request(decode_frame(encode_request(request_))) == request_


def test_unset_and_empty_variables_stay_different():
    tags = [tag for tag, _ in request_fields(Request("DEL", b"{}", netns=""))]
    assert Tag.NETNS in tags
    assert Tag.ARGS not in tags


@pytest.mark.parametrize("answer", [Result(0), Result(1, b"{}", "2.0"), Progress(), Progress("waits: subnet full")])
def test_answers_survive_the_wire(answer):
    encode = encode_result if isinstance(answer, Result) else encode_progress
    assert decode_answer(decode_frame(encode(answer))) == answer


def test_a_later_type_of_answer_is_skipped():
    assert decode_answer(Frame(77, ((1, b"?"),))) is None


def test_fields_of_a_later_version_are_skipped():
    frame = Frame(FrameType.REQUEST, (*request_fields(ADD), (900, b"new"), (900, b"again")), version=9)
    assert decode_request(decode_frame(encode_frame(frame))) == ADD


def test_fields_that_an_earlier_version_did_not_have_take_their_defaults():
    frame = Frame(FrameType.REQUEST, ((Tag.COMMAND, b"DEL"), (Tag.CONFIG, b"{}")), version=0, min_version=0)
    assert decode_request(frame) == Request("DEL", b"{}")


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        (((Tag.CONFIG, b"{}"),), 6, "without COMMAND"),
        (((Tag.COMMAND, b"ADD"),), 6, "without CONFIG"),
        (((Tag.COMMAND, b"ADD"), (Tag.CONFIG, b"{}"), (Tag.DEADLINE_MS, b"123")), 6, "DEADLINE_MS has 3 bytes"),
        (((Tag.COMMAND, b"ADD"), (Tag.CONFIG, b"{}"), (Tag.RELEASED_AT_MS, b"1234")), 6, "RELEASED_AT_MS has 4"),
        (((Tag.COMMAND, b"ADD"), (Tag.CONFIG, b"{}"), (Tag.CONTAINER_ID, b"a\xff")), 4, "CNI_CONTAINERID is not UTF-8"),
        (((Tag.COMMAND, b"\xff"), (Tag.CONFIG, b"{}")), 4, "CNI_COMMAND is not UTF-8"),
        (((Tag.COMMAND, b"ADD"), (Tag.CONFIG, b"{}"), (Tag.CONFIG, b"{}")), 6, "field 7 comes twice"),
    ],
)
def test_malformed_requests(fields, code, words):
    with pytest.raises(CallerError, match=words) as caught:
        decode_request(Frame(FrameType.REQUEST, fields))
    assert caught.value.cni_code == code


@pytest.mark.parametrize("frame_type", [FrameType.RESULT, FrameType.PROGRESS, 0, 200])
def test_only_a_request_is_a_request(frame_type):
    with pytest.raises(CallerError, match="where a request was expected"):
        decode_request(Frame(frame_type, ((Tag.COMMAND, b"ADD"), (Tag.CONFIG, b"{}"))))


@pytest.mark.parametrize(
    "frame",
    [
        Frame(FrameType.RESULT, ()),
        Frame(FrameType.RESULT, ((Tag.EXIT_CODE, b"\0"),)),
        Frame(FrameType.PROGRESS, ((Tag.STATE, b"\xff"),)),
        Frame(FrameType.REQUEST, ()),
    ],
)
def test_malformed_answers(frame):
    with pytest.raises(CallerError):
        decode_answer(frame)


def test_spooled_deletes_survive_the_file():
    assert decode_spooled(encode_spooled(RECORDED)) == RECORDED


@pytest.mark.parametrize("change", [{"command": "ADD"}, {"released_at_ms": None}])
def test_only_a_delete_with_its_time_belongs_into_the_spool(change):
    request = dataclasses.replace(RECORDED, **change)
    with pytest.raises(CallerError):
        encode_spooled(request)
    with pytest.raises(CallerError) as caught:
        decode_spooled(encode_request(request))
    assert caught.value.cni_code == CniCode.DECODING_FAILURE


def test_a_cut_or_huge_spool_file_is_refused():
    data = encode_spooled(RECORDED)
    for cut in range(len(data)):
        with pytest.raises(CallerError):
            decode_spooled(data[:cut])
    with pytest.raises(CallerError, match="exceeds"):
        decode_spooled(encode_spooled(dataclasses.replace(RECORDED, config=b"x" * MAX_FILE_BYTES)))


def test_spool_names_are_the_digest_of_the_alias():
    # printf 'net/c0ffee/eth0' | sha256sum
    expected = "4b965d4c85be5e358d13426ec02ffe43f4d7e20a0b5a5e631c6bff58d25b390d"
    assert spool_name(SandboxKey("net", "c0ffee", "eth0")) == expected


def test_marker_is_one_line_of_milliseconds(tmp_path):
    assert encode_marker(12.3456) == b"12345\n"
    write_marker(tmp_path, until=5.0)
    write_marker(tmp_path, until=6.0)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("restarting", b"6000\n")]
    remove_marker(tmp_path)
    remove_marker(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_fields_are_numbered_as_documented():
    assert struct.unpack("!H", encode_request(ADD)[12:14]) == (1,)
    assert (Tag.DESCRIPTORS, Tag.EXIT_CODE, Tag.STATE) == (10, 32, 48)
