"""Codecs over generated values, and parsers over rubbish: an error of ours or a value, nothing else."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpc_cni.errors import VpcCniError
from vpc_cni.rpc import (
    Frame,
    FrameBuffer,
    Progress,
    Request,
    Result,
    decode_answer,
    decode_frame,
    decode_request,
    decode_spooled,
    encode_frame,
    encode_progress,
    encode_request,
    encode_result,
)
from vpc_cni.rpc.cni import encode_error, parse_request

U32 = st.integers(0, 2**32 - 1)
TEXT = st.text(max_size=40)
REQUESTS = st.builds(
    Request,
    command=TEXT,
    config=st.binary(max_size=200),
    container_id=st.none() | TEXT,
    netns=st.none() | TEXT,
    ifname=st.none() | TEXT,
    args=st.none() | TEXT,
    path=st.none() | TEXT,
    deadline_ms=U32,
    shim_version=TEXT,
    descriptors=TEXT,
    released_at_ms=st.none() | st.integers(0, 2**64 - 1),
)
FRAMES = st.builds(
    Frame,
    type=st.integers(0, 255),
    fields=st.lists(st.tuples(st.integers(0, 65535), st.binary(max_size=30)), max_size=6).map(tuple),
    version=st.integers(0, 255),
    min_version=st.integers(0, 1),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MEMBERS = ["cniVersion", "name", "vethPrefix", "mtu", "ipam", "prevResult", "podSGEnforcingMode"]
MEMBERS += ["cni.dev/valid-attachments", "cni.dev/attachments"]
USUAL = {"cniVersion": "1.1.0", "name": "aws-cni"}
CONFIGS = st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=4).map(
    lambda odd: json.dumps(USUAL | odd, allow_nan=False).encode("utf-8", "surrogatepass")
)


@given(REQUESTS)
def test_request_round_trip(request):
    assert decode_request(decode_frame(encode_request(request))) == request


@given(U32, st.binary(max_size=100), TEXT)
def test_result_round_trip(code, stdout, version):
    assert decode_answer(decode_frame(encode_result(Result(code, stdout, version)))) == Result(code, stdout, version)


@given(TEXT)
def test_progress_round_trip(state):
    assert decode_answer(decode_frame(encode_progress(Progress(state)))) == Progress(state)


@given(st.lists(FRAMES, max_size=4), st.data())
def test_frames_do_not_depend_on_how_the_stream_is_cut(frames, data):
    stream, buffer, seen = b"".join(map(encode_frame, frames)), FrameBuffer(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        frame = buffer.feed(stream[:size])
        stream = stream[size:]
        while frame is not None:
            seen.append(frame)
            frame = buffer.feed(b"")
    assert seen == frames


@pytest.mark.parametrize("decode", [decode_frame, decode_spooled])
@given(st.binary(max_size=80) | st.builds(lambda tail: b"vcni\x01\x01\x01\x00" + tail, st.binary(max_size=80)))
def test_rubbish_is_refused_by_our_own_errors(decode, data):
    with contextlib.suppress(VpcCniError):
        decode(data)


@given(FRAMES)
def test_any_frame_is_judged(frame):
    for decode in (decode_request, decode_answer):
        with contextlib.suppress(VpcCniError):
            decode(frame)


@settings(max_examples=400)
@given(
    st.sampled_from(["ADD", "DEL", "CHECK", "STATUS", "GC"]) | TEXT,
    CONFIGS | st.binary(max_size=60),
    st.sampled_from([None, "", "eth0", "a/b"]) | TEXT,
    st.none() | TEXT | st.just("K8S_POD_NAME=a;IgnoreUnknown=1"),
)
def test_any_request_is_judged_and_its_error_printable(command, config, ifname, args):
    request = Request(command, config, "c0ffee", "/n", ifname, args)
    try:
        parsed = parse_request(request)
    except VpcCniError as err:
        error = json.loads(encode_error(config, err).stdout)
        assert error["code"] in {1, 2, 4, 6, 7}
        assert error["details"]
        assert error["cniVersion"] in {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}
    else:
        assert len(parsed.key.alias.encode()) <= 255
        assert 576 <= parsed.config.mtu_bytes <= 9001
