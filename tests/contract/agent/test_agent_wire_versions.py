"""The running agent and plugins of the versions before and after it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from live_node import LiveNode, Sandbox

from vpc_cni.errors import CniCode
from vpc_cni.rpc.client import exchange
from vpc_cni.rpc.frames import VERSION, Frame, FrameType, encode_frame
from vpc_cni.rpc.messages import Request, Result, Tag, request_fields

# What the first version of the protocol knew; later fields are news to an older plugin.
FIRST_TAGS = frozenset(set(Tag) - {Tag.SHIM_VERSION, Tag.RELEASED_AT_MS})


def request(node: LiveNode, sandbox: Sandbox, command: str) -> Request:
    variables = sandbox.environment(command)
    return Request(
        command,
        json.dumps(node.config()).encode(),
        sandbox.container_id,
        variables["CNI_NETNS"],
        sandbox.ifname,
        variables["CNI_ARGS"],
        deadline_ms=5000,
        shim_version="0.0.1",
    )


def older(asked: Request) -> bytes:
    fields = tuple(field for field in request_fields(asked) if field[0] in FIRST_TAGS)
    return encode_frame(Frame(FrameType.REQUEST, fields, VERSION - 1, 0))


def newer(asked: Request) -> bytes:
    fields = ((600, b"news"), *request_fields(asked), (601, b""))
    return encode_frame(Frame(FrameType.REQUEST, fields, VERSION + 1, VERSION))


@pytest.mark.parametrize("written_by", [older, newer])
def test_add_and_del_of_plugins_of_other_versions(node: LiveNode, written_by: Callable[[Request], bytes]) -> None:
    sandbox = node.sandbox("other-version")
    with sandbox.netns.route_socket() as inside:
        asked = replace(request(node, sandbox, "ADD"), descriptors="sn")
        fds = [inside.fileno(), sandbox.netns.fd]
        added = exchange(socket_of(node), written_by(asked), fds=fds)
    assert added.exit_code == 0, added.stdout
    assert sandbox.container_id in node.pod_addresses()
    deleted = exchange(socket_of(node), written_by(request(node, sandbox, "DEL")))
    assert (deleted.exit_code, deleted.stdout) == (0, b"")
    assert sandbox.container_id not in node.pod_addresses()


def test_a_plugin_that_is_too_new_is_asked_to_come_back(node: LiveNode) -> None:
    fields = request_fields(request(node, node.sandbox(), "ADD"))
    answer = exchange(socket_of(node), encode_frame(Frame(FrameType.REQUEST, fields, VERSION + 2, VERSION + 1)))
    assert_error(answer, CniCode.TRY_AGAIN_LATER, "roll-out")


def test_a_descriptor_that_only_a_newer_plugin_passes_is_closed(node: LiveNode) -> None:
    sandbox = node.sandbox("more-descriptors")
    before = node.agent_descriptors()
    with sandbox.netns.route_socket() as inside, sandbox.netns.route_socket() as extra:
        asked = replace(request(node, sandbox, "ADD"), descriptors="snz")
        fds = [inside.fileno(), sandbox.netns.fd, extra.fileno()]
        assert exchange(socket_of(node), newer(asked), fds=fds).exit_code == 0
    exchange(socket_of(node), request(node, sandbox, "DEL"))
    assert node.agent_descriptors() == before


def socket_of(node: LiveNode) -> Path:
    return Path(node.info.socket_path)


def assert_error(answer: Result, code: CniCode, word: str) -> None:
    document = json.loads(answer.stdout)
    assert (answer.exit_code, document["code"]) == (1, code)
    assert word in document["msg"] + document["details"]
