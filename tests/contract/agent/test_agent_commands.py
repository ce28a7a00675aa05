"""Every command in every version of the specification, through the plugin and the agent to real namespaces."""

import json
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any

import pytest
from live_node import LiveNode, Outcome, Sandbox, wait_until

from vpc_cni.lab.runtime.config import version_at_least
from vpc_cni.rpc.cni import SUPPORTED_VERSIONS

UNSUPPORTED_VERSION, UNKNOWN_CONTAINER = 1, 3
VERSIONS_WITH_CHECK = [version for version in SUPPORTED_VERSIONS if version_at_least(version, "0.4.0")]


@pytest.fixture
def sandbox(node: LiveNode) -> Iterator[Sandbox]:
    """A sandbox; its network ends with the test."""
    made = node.sandbox("web-0")
    yield made
    node.call("DEL", made)


def add(node: LiveNode, sandbox: Sandbox, version: str = "1.0.0") -> Mapping[str, Any]:
    outcome = node.call("ADD", sandbox, node.config(version))
    assert outcome.exit_code == 0, outcome.answer
    answer: Mapping[str, Any] = outcome.answer
    return answer


def check(node: LiveNode, sandbox: Sandbox, result: Mapping[str, Any]) -> Outcome:
    return node.call("CHECK", sandbox, node.config(result["cniVersion"], prevResult=result))


def in_pod(sandbox: Sandbox, *command: str) -> Any:
    return json.loads(sandbox.netns.check_output(["ip", "-j", "-4", *command]))


def assert_silent(outcome: Outcome) -> None:
    assert (outcome.exit_code, outcome.answer) == (0, None)


# -- ADD --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_add_gives_the_result_of_its_version(node: LiveNode, sandbox: Sandbox, version: str) -> None:
    result = add(node, sandbox, version)
    assert result["cniVersion"] == version
    host, container, dummy = result["interfaces"]
    [address] = result["ips"]
    assert (container["name"], container["sandbox"]) == ("eth0", sandbox.environment("ADD")["CNI_NETNS"])
    assert "sandbox" not in host
    assert host["name"].startswith("eni")
    assert dummy["mac"] == "0"
    assert address["interface"] == 1
    assert IPv4Address(address["address"].removesuffix("/32")).is_private
    assert ("version" in address) is not version_at_least(version, "1.0.0")
    assert ("mtu" in container) is version_at_least(version, "1.1.0")


def test_add_wires_what_its_result_says(node: LiveNode, sandbox: Sandbox) -> None:
    result = add(node, sandbox)
    address = result["ips"][0]["address"].removesuffix("/32")
    [link] = [link for link in in_pod(sandbox, "address") if link["ifname"] == "eth0"]
    assert link["operstate"] == "UP"
    assert [(info["local"], info["prefixlen"]) for info in link["addr_info"]] == [(address, 32)]
    routes = {route["dst"]: route.get("gateway") for route in in_pod(sandbox, "route")}
    assert routes == {"default": "169.254.1.1", "169.254.1.1": None}
    [route] = json.loads(node.run("ip", "-j", "route", "show", address))
    assert route["dev"] == result["interfaces"][0]["name"]
    assert f"to {address} lookup main" in node.run("ip", "rule")
    assert " 0% packet loss" in sandbox.netns.check_output(["ping", "-c1", "-W2", node.info.address], text=True)


def test_a_repeated_add_gives_the_same_result(node: LiveNode, sandbox: Sandbox) -> None:
    first = add(node, sandbox)
    before = node.pod_addresses()
    assert add(node, sandbox) == first
    assert node.pod_addresses() == before
    assert_silent(check(node, sandbox, first))


def test_a_second_interface_of_a_container_is_a_network_of_its_own(node: LiveNode, sandbox: Sandbox) -> None:
    second = Sandbox(sandbox.name, sandbox.netns, sandbox.container_id, ifname="net1")
    one, other = add(node, sandbox), add(node, second)
    assert one["ips"][0]["address"] != other["ips"][0]["address"]
    assert_silent(check(node, second, other))
    assert_silent(node.call("DEL", second))
    assert node.pod_addresses() == {sandbox.container_id: one["ips"][0]["address"].removesuffix("/32")}


# -- DEL --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_del_leaves_nothing_and_may_be_repeated(node: LiveNode, sandbox: Sandbox, version: str) -> None:
    result = add(node, sandbox, version)
    address, host_link = result["ips"][0]["address"].removesuffix("/32"), result["interfaces"][0]["name"]
    with_result = {"prevResult": result} if version_at_least(version, "0.4.0") else {}
    assert_silent(node.call("DEL", sandbox, node.config(version, **with_result)))
    assert sandbox.container_id not in node.pod_addresses()
    assert address not in node.run("ip", "rule")
    assert address not in node.run("ip", "route")
    wait_until(lambda: host_link not in node.run("ip", "link"), 3, "the end of the host link")
    assert [link["ifname"] for link in in_pod(sandbox, "address") if link["ifname"] != "lo"] == []
    assert_silent(node.call("DEL", sandbox, node.config(version, **with_result)))


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_del_of_an_unknown_sandbox_succeeds(node: LiveNode, version: str) -> None:
    assert_silent(node.call("DEL", node.sandbox("stranger"), node.config(version)))


def test_del_succeeds_when_the_namespace_is_gone(node: LiveNode) -> None:
    sandbox = Sandbox("short-lived")
    add(node, sandbox)
    sandbox.netns.close()
    gone = Sandbox(sandbox.name, node.netns, sandbox.container_id)
    environment = gone.environment("DEL") | {"CNI_NETNS": "/proc/1/fd/999999"}
    object.__setattr__(gone, "environment", lambda _command: environment)
    assert_silent(node.call("DEL", gone))
    assert sandbox.container_id not in node.pod_addresses()


# -- CHECK ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS_WITH_CHECK)
def test_check_passes_for_what_add_made(node: LiveNode, sandbox: Sandbox, version: str) -> None:
    assert_silent(check(node, sandbox, add(node, sandbox, version)))


def test_check_is_refused_before_its_version(node: LiveNode, sandbox: Sandbox) -> None:
    result = add(node, sandbox, "0.3.1")
    outcome = check(node, sandbox, result)
    assert (outcome.exit_code, outcome.answer["code"]) == (1, UNSUPPORTED_VERSION)


def test_check_of_an_unknown_sandbox_says_so(node: LiveNode, sandbox: Sandbox) -> None:
    result = add(node, sandbox)
    outcome = check(node, node.sandbox("stranger"), result)
    assert (outcome.exit_code, outcome.answer["code"]) == (1, UNKNOWN_CONTAINER)


POD_DAMAGES = {
    "address": ("ip", "address", "flush", "dev", "eth0"),
    "default route": ("ip", "route", "del", "default"),
    "gateway route": ("ip", "route", "flush", "dev", "eth0"),
    "gateway's neighbour": ("ip", "neigh", "del", "169.254.1.1", "dev", "eth0"),
    "link state": ("ip", "link", "set", "eth0", "down"),
    "mtu": ("ip", "link", "set", "eth0", "mtu", "1400"),
    "link": ("ip", "link", "del", "eth0"),
}


@pytest.mark.parametrize("damage", POD_DAMAGES)
def test_check_finds_what_is_broken_inside_the_pod(node: LiveNode, sandbox: Sandbox, damage: str) -> None:
    result = add(node, sandbox)
    sandbox.netns.check_output(POD_DAMAGES[damage])
    outcome = check(node, sandbox, result)
    assert outcome.exit_code == 1
    assert "is not as it was made" in outcome.answer["msg"]
    assert_silent(node.call("DEL", sandbox))
    assert_silent(check(node, sandbox, add(node, sandbox)))


# -- STATUS and GC ----------------------------------------------------------------------------------------------------


def test_status_is_silent_while_the_agent_serves(node: LiveNode) -> None:
    assert_silent(node.call("STATUS", None, node.config("1.1.0")))


@pytest.mark.parametrize("command", ["STATUS", "GC"])
def test_status_and_gc_are_refused_before_their_version(node: LiveNode, command: str) -> None:
    outcome = node.call(command, None, node.config("1.0.0", **{"cni.dev/valid-attachments": []}))
    assert (outcome.exit_code, outcome.answer["code"]) == (1, UNSUPPORTED_VERSION)


def test_gc_releases_what_the_runtime_does_not_list_and_nothing_else(node: LiveNode) -> None:
    kept, stale, foreign = (node.sandbox(name) for name in ("kept", "stale", "foreign"))
    result = add(node, kept)
    add(node, stale)
    assert node.call("ADD", foreign, node.config(name="another-network")).exit_code == 0
    valid = [{"containerID": kept.container_id, "ifname": "eth0"}]
    for member in ("cni.dev/valid-attachments", "cni.dev/attachments"):
        assert_silent(node.call("GC", None, node.config("1.1.0", **{member: valid})))
    assert {kept.container_id, foreign.container_id} <= node.pod_addresses().keys()
    assert stale.container_id not in node.pod_addresses()
    assert_silent(check(node, kept, result))
    node.call("DEL", kept)
    node.call("DEL", foreign, node.config(name="another-network"))


def test_gc_without_a_list_is_refused_and_releases_nothing(node: LiveNode, sandbox: Sandbox) -> None:
    add(node, sandbox)
    outcome = node.call("GC", None, node.config("1.1.0"))
    assert outcome.exit_code == 1, "nobody says that there are no attachments"
    assert sandbox.container_id in node.pod_addresses()


# -- many -------------------------------------------------------------------------------------------------------------


def test_all_addresses_come_back(node: LiveNode) -> None:
    assert node.pod_addresses() == {}
    wait_until(lambda: node.pool()["cooling"] == 0, 3, "the reaped links")
    pool = node.pool()
    assert (pool["free"], pool["quarantined"], pool["waiting"]) == (pool["total"], 0, 0)
