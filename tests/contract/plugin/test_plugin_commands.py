"""Each command in each version of the specification, with an agent that answers."""

import json
import os
import stat

import pytest

from vpc_cni.rpc import decode_spooled
from vpc_cni.rpc.cni import SUPPORTED_VERSIONS

# First version of each command; Source: SPEC.md of 0.4.0 and 1.1.0.
SINCE = {"ADD": "0.3.0", "DEL": "0.3.0", "CHECK": "0.4.0", "STATUS": "1.1.0", "GC": "1.1.0"}


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_add_prints_what_the_agent_says(plugin, agent, answering, version):
    config = plugin.config(version, vethPrefix="eni", extra={"deep": [1, "ü", None]})
    with agent(answering) as served:
        outcome = plugin.run("ADD", config)
    assert outcome.exit_code == 0
    assert outcome.json == {"cniVersion": version, "ips": [{"address": "10.0.0.5/32"}]}
    assert outcome.stderr == b""
    [request] = served.requests
    assert request.config == config
    assert (request.command, request.container_id, request.ifname) == ("ADD", "c0ffee", "eth0")
    assert (request.netns, request.path) == (plugin.netns, "/opt/cni/bin")
    assert request.args == "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0"
    assert request.shim_version == "9.9.9"
    assert request.descriptors == "sn"
    assert 0 < request.deadline_ms < 3000
    assert request.released_at_ms is None


@pytest.mark.parametrize("command", ["DEL", "CHECK", "STATUS", "GC"])
@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_other_commands_print_nothing_or_say_since_when(plugin, agent, answering, version, command):
    with agent(answering) as served:
        outcome = plugin.run(command, plugin.config(version))
    if SUPPORTED_VERSIONS.index(version) < SUPPORTED_VERSIONS.index(SINCE[command]):
        outcome.assert_error(1, command, SINCE[command], version=version)
        assert served.requests == []
    else:
        outcome.assert_silent_success()
        assert served.requests[0].command == command


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_an_error_of_the_agent_is_printed_as_it_is(plugin, agent, version):
    error = json.dumps({"cniVersion": version, "code": 103, "msg": "m", "details": "d"}).encode()

    async def refuse(session):
        await session.result(1, error)

    with agent(refuse):
        outcome = plugin.run("ADD", plugin.config(version))
    assert (outcome.exit_code, outcome.stdout) == (1, error)


@pytest.mark.parametrize("given", [*SUPPORTED_VERSIONS, "0.2.0", "7.0.0"])
def test_version_is_answered_without_an_agent(plugin, given):
    outcome = plugin.run("VERSION", json.dumps({"cniVersion": given}).encode())
    assert outcome.exit_code == 0
    assert outcome.json == {"cniVersion": given, "supportedVersions": list(SUPPORTED_VERSIONS)}


@pytest.mark.parametrize("stdin", [b"", b"{}"])
def test_version_needs_no_configuration(plugin, stdin):
    assert plugin.run("VERSION", stdin).json["cniVersion"] == SUPPORTED_VERSIONS[-1]


@pytest.mark.parametrize("command", ["STATUS", "GC"])
def test_node_commands_need_and_send_no_sandbox(plugin, agent, answering, command):
    with agent(answering) as served:
        plugin.run(command, plugin.config("1.1.0"), CNI_CONTAINERID="x/y", CNI_IFNAME="a:b").assert_silent_success()
    [request] = served.requests
    assert (request.container_id, request.ifname, request.netns, request.descriptors) == (None, None, None, "")


@pytest.mark.parametrize("netns", [None, "", "/gone/away", "/etc/passwd", "/proc/self/ns/net"])
def test_del_works_whatever_the_namespace_is(plugin, agent, answering, netns):
    with agent(answering) as served:
        plugin.run("DEL", CNI_NETNS=netns).assert_silent_success()
    assert served.requests[0].descriptors == ""


def test_a_configuration_of_one_mebibyte_goes_through(plugin, agent, answering):
    config = plugin.config(padding="x" * ((1 << 20) - 200))
    with agent(answering) as served:
        assert plugin.run("ADD", config).exit_code == 0
    assert served.requests[0].config == config


def test_an_answer_larger_than_a_socket_buffer_is_printed_whole(plugin, agent):
    body = b'{"x":"' + b"y" * 900_000 + b'"}'

    async def long_answer(session):
        await session.result(0, body)

    with agent(long_answer):
        assert plugin.run("ADD").stdout == body


def test_the_shipped_binary_answers(real_plugin, agent, answering):
    with agent(answering) as served:
        assert real_plugin.run("ADD").exit_code == 0
    assert 58_000 < served.requests[0].deadline_ms < 60_000


def test_descriptors_are_a_netlink_socket_in_the_pod_and_its_namespace(plugin, agent):
    seen = {}

    async def inspect(session):
        seen["namespace"] = os.fstat(session.descriptors.namespace)
        seen["socket"] = os.fstat(session.descriptors.netlink_socket)
        await session.result(0, b"{}")

    with agent(inspect):
        assert plugin.run("ADD").exit_code == 0
    expected = os.stat(plugin.netns)
    assert (seen["namespace"].st_dev, seen["namespace"].st_ino) == (expected.st_dev, expected.st_ino)
    assert stat.S_ISSOCK(seen["socket"].st_mode)


def test_an_agent_socket_with_escapes_in_its_name_is_found(plugin, socket_path, agent, answering):
    text = json.dumps(str(socket_path)).replace("/", "\\u002f").replace("v", "\\u0076")
    config = b'{"cniVersion":"1.0.0","name":"aws-cni","agentSocket":' + text.encode() + b"}"
    with agent(answering):
        assert plugin.run("ADD", config).exit_code == 0


def test_a_repeated_key_counts_by_its_last_value(plugin, socket_path):
    config = (
        b'{"name":"other","agentSocket":"/nowhere","cniVersion":"0.2.0","cniVersion":"1.0.0","name":"aws-cni","agentSocket":'
        + json.dumps(str(socket_path)).encode()
        + b"}"
    )
    plugin.run("DEL", config).assert_silent_success()
    [recorded] = (socket_path.parent / "spool").iterdir()
    assert decode_spooled(recorded.read_bytes()).config == config
