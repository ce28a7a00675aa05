"""Plugin N with agents of versions N-1 and N+1, the reverse, and answers that are none."""

import struct

import pytest

from vpc_cni.rpc.client import exchange
from vpc_cni.rpc.frames import MAGIC, MAX_PAYLOAD_BYTES, VERSION, Frame, FrameType, encode_frame
from vpc_cni.rpc.messages import Request, Result, Tag, request_fields

EXIT_OK = (Tag.EXIT_CODE, struct.pack("!I", 0))
OUT = (Tag.STDOUT, b'{"ok":true}')


def answer_raw(*parts):
    async def behave(session):
        for part in parts:
            await session.raw(part)

    return behave


def header(*, magic=MAGIC, version=VERSION, min_version=1, frame_type=2, length=0):
    return struct.pack("!4sBBBBI", magic, version, min_version, frame_type, 0, length)


RESULT = encode_frame(Frame(FrameType.RESULT, (EXIT_OK, OUT)))
PROGRESS = encode_frame(Frame(FrameType.PROGRESS, ()))


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param((encode_frame(Frame(2, (EXIT_OK, OUT), VERSION - 1, 0)),), id="older agent"),
        pytest.param((encode_frame(Frame(2, (EXIT_OK, OUT), VERSION + 1, VERSION)),), id="newer agent"),
        pytest.param((encode_frame(Frame(2, (EXIT_OK, (999, b"new"), OUT), 250, 1)),), id="unknown field"),
        pytest.param((encode_frame(Frame(9, ((1, b"x"),), 2, 1)), RESULT), id="unknown type first"),
        pytest.param((PROGRESS + PROGRESS + RESULT,), id="several in one read"),
        pytest.param(tuple(RESULT[n : n + 1] for n in range(len(RESULT))), id="byte by byte"),
        pytest.param((RESULT + b"trailing",), id="bytes after the result"),
    ],
)
def test_readable_answers(plugin, agent, frames):
    with agent(answer_raw(*frames)):
        outcome = plugin.run("ADD")
    assert (outcome.exit_code, outcome.stdout) == (0, b'{"ok":true}')


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(header(min_version=VERSION + 1), id="for newer plugins only"),
        pytest.param(header(magic=b"HTTP"), id="wrong magic"),
        pytest.param(header(length=MAX_PAYLOAD_BYTES + 1), id="too large"),
        pytest.param(header(length=0xFFFFFFFF), id="far too large"),
        pytest.param(encode_frame(Frame(2, (OUT,))), id="no exit code"),
        pytest.param(encode_frame(Frame(2, (EXIT_OK, EXIT_OK))), id="two exit codes"),
        pytest.param(encode_frame(Frame(2, ((Tag.EXIT_CODE, b"\0"),))), id="short exit code"),
        pytest.param(header(length=3) + b"abc", id="cut field header"),
        pytest.param(header(length=7) + struct.pack("!HIB", 33, 2, 0), id="field beyond the payload"),
    ],
)
def test_unreadable_answers_count_as_no_answer(plugin, agent, answer, socket_path):
    with agent(answer_raw(answer)):
        plugin.run("ADD").assert_error(11, "not readable")
        plugin.run("STATUS", plugin.config("1.1.0")).assert_error(50, "not readable")
        plugin.run("DEL").assert_silent_success()
    assert len(list((socket_path.parent / "spool").iterdir())) == 1


@pytest.mark.parametrize("command", ["ADD", "DEL"])
def test_an_error_without_words_gets_some(plugin, agent, command):
    with agent(answer_raw(encode_frame(Frame(2, ((Tag.EXIT_CODE, struct.pack("!I", 1)),))))):
        plugin.run(command).assert_error(100, command)


def test_an_add_without_a_result_is_an_error(plugin, agent):
    with agent(answer_raw(encode_frame(Frame(2, (EXIT_OK,))))):
        plugin.run("ADD").assert_error(100)


@pytest.mark.parametrize(("sent", "seen"), [(0, 0), (3, 3), (255, 255), (256, 1), (0xFFFFFFFF, 1)])
def test_exit_codes(plugin, agent, sent, seen):
    with agent(answer_raw(encode_frame(Frame(2, ((Tag.EXIT_CODE, struct.pack("!I", sent)), OUT))))):
        assert plugin.run("ADD").exit_code == seen


# ---- the reverse: this package's receiving side and plugins of other versions

PLUGIN = Request("DEL", b'{"cniVersion":"1.0.0","name":"aws-cni"}', "c0ffee", ifname="eth0")
OLD_TAGS = frozenset({Tag.COMMAND, Tag.CONTAINER_ID, Tag.IFNAME, Tag.CONFIG})
OLD_FIELDS = tuple(field for field in request_fields(PLUGIN) if field[0] in OLD_TAGS)
OTHER_DESCRIPTOR = tuple((tag, b"z" if tag == Tag.DESCRIPTORS else data) for tag, data in request_fields(PLUGIN))


@pytest.mark.parametrize(
    ("frame", "letters"),
    [
        pytest.param(Frame(1, OLD_FIELDS, VERSION - 1, 0), "", id="older"),
        pytest.param(Frame(1, (*request_fields(PLUGIN), (500, b"new")), VERSION + 1, VERSION), "", id="newer"),
        pytest.param(Frame(1, OTHER_DESCRIPTOR, VERSION + 1, VERSION), "z", id="newer with another descriptor"),
    ],
)
def test_plugins_of_other_versions_are_served(agent, answering, socket_path, frame, letters):
    with agent(answering) as served, open("/dev/null", "rb") as other:
        answer = exchange(socket_path, encode_frame(frame), fds=[other.fileno()] * len(letters))
    assert answer == Result(0, b"", "test")
    [seen] = served.requests
    assert (seen.command, seen.container_id, seen.config) == ("DEL", "c0ffee", PLUGIN.config)
    assert seen.descriptors == letters
