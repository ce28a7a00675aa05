"""The runtime runs whole chains with real programs: what they are given, in which order, and what is kept."""

import json
import os
import stat

import pytest

from vpc_cni.errors import ConfigurationError, HostError
from vpc_cni.lab.runtime import Attachment, PluginError, Runtime

# A plugin that writes down what it was given and answers with its previous result plus its own name.
PLUGIN = """#!/usr/bin/python3
import json, os, sys
config = json.load(sys.stdin)
name = os.path.basename(sys.argv[0])
with open({journal!r}, "a") as journal:
    env = {{key: value for key, value in os.environ.items() if key.startswith("CNI_")}}
    print(json.dumps({{"plugin": name, "env": env, "config": config}}), file=journal)
command = os.environ["CNI_COMMAND"]
if command in config.get("fail", ()):
    print(json.dumps({{"code": 11, "msg": "not now", "details": "later"}}))
    sys.exit(1)
if command == "ADD":
    previous = config.get("prevResult", {{}})
    print(json.dumps({{"cniVersion": config["cniVersion"], "by": previous.get("by", []) + [name]}}))
"""
BY_BOTH = {"cniVersion": "1.1.0", "by": ["one", "two"]}


class Bench:
    """Two recording plugins behind a conflist."""

    def __init__(self, root):
        self.root = root
        self.journal = root / "journal"
        for folder in ("bin", "conf"):
            (root / folder).mkdir()
        for name in ("one", "two"):
            program = root / "bin" / name
            program.write_text(PLUGIN.format(journal=str(self.journal)))
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.runtime = Runtime(root / "conf", (root / "bin",), root / "results")
        self.configure()

    def configure(self, version="1.1.0", fail=(), **top):
        plugins = [
            {"type": "one"},
            {"type": "two", "fail": list(fail), "capabilities": {"portMappings": True}},
        ]
        text = json.dumps({"cniVersion": version, "name": "net", "plugins": plugins, **top})
        (self.root / "conf" / "10-test.conflist").write_text(text)

    def calls(self):
        if not self.journal.exists():
            return []
        return [json.loads(line) for line in self.journal.read_text().splitlines()]

    def commands(self):
        return [(call["env"]["CNI_COMMAND"], call["plugin"]) for call in self.calls()]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


ATTACHMENT = Attachment("cid", "eth0", "/proc/self/ns/net", (("K8S_POD_NAME", "web-0"),), {"portMappings": [1]})


def test_add_goes_through_the_chain_and_each_plugin_sees_the_result_before_it(bench):
    assert bench.runtime.add(ATTACHMENT) == BY_BOTH
    first, second = bench.calls()
    assert "prevResult" not in first["config"]
    assert second["config"]["prevResult"]["by"] == ["one"]
    assert "runtimeConfig" not in first["config"]
    assert second["config"]["runtimeConfig"] == {"portMappings": [1]}
    assert first["env"] == {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "cid",
        "CNI_NETNS": "/proc/self/ns/net",
        "CNI_IFNAME": "eth0",
        "CNI_ARGS": "K8S_POD_NAME=web-0",
        "CNI_PATH": str(bench.root / "bin"),
    }


def test_del_goes_backwards_with_the_kept_result_and_forgets_it(bench):
    bench.runtime.add(ATTACHMENT)
    bench.runtime.delete(ATTACHMENT)
    bench.runtime.delete(ATTACHMENT)
    deletes = bench.calls()[2:]
    assert [call["plugin"] for call in deletes] == ["two", "one", "two", "one"]
    assert [call["config"].get("prevResult") for call in deletes] == [BY_BOTH, BY_BOTH, None, None]


def test_del_before_version_0_4_0_has_no_previous_result(bench):
    bench.configure(version="0.3.1")
    bench.runtime.add(ATTACHMENT)
    bench.runtime.delete(ATTACHMENT)
    assert all("prevResult" not in call["config"] for call in bench.calls()[2:])


def test_a_failed_add_is_followed_by_del_and_keeps_nothing(bench):
    bench.configure(fail=["ADD"])
    with pytest.raises(PluginError) as caught:
        bench.runtime.add(ATTACHMENT)
    assert (caught.value.plugin, caught.value.code, caught.value.details) == ("two", 11, "later")
    assert caught.value.retryable
    assert bench.commands() == [("ADD", "one"), ("ADD", "two"), ("DEL", "two"), ("DEL", "one")]
    assert not list(bench.root.glob("results/*"))


def test_a_failed_del_can_be_repeated_with_the_same_result(bench):
    bench.runtime.add(ATTACHMENT)
    bench.configure(fail=["DEL"])
    with pytest.raises(PluginError):
        bench.runtime.delete(ATTACHMENT)
    bench.configure()
    bench.runtime.delete(ATTACHMENT)
    assert bench.calls()[-1]["config"]["prevResult"] == BY_BOTH


def test_check_shows_every_plugin_the_final_result(bench):
    bench.runtime.add(ATTACHMENT)
    assert bench.runtime.check(ATTACHMENT)
    checks = bench.calls()[2:]
    assert [(call["plugin"], call["config"]["prevResult"]) for call in checks] == [("one", BY_BOTH), ("two", BY_BOTH)]


@pytest.mark.parametrize("top", [{"disableCheck": True}, {"version": "0.3.1"}], ids=["disabled", "too old"])
def test_check_is_left_out_where_the_network_says_so(bench, top):
    bench.configure(**top)
    bench.runtime.add(ATTACHMENT)
    assert not bench.runtime.check(ATTACHMENT)
    assert len(bench.calls()) == 2


def test_check_of_a_container_that_was_never_added_is_refused(bench):
    with pytest.raises(ConfigurationError, match="never added"):
        bench.runtime.check(ATTACHMENT)


def test_garbage_collection_tells_which_attachments_are_valid(bench):
    assert bench.runtime.collect_garbage([ATTACHMENT])
    config = bench.calls()[0]["config"]
    assert config["cni.dev/valid-attachments"] == [{"containerID": "cid", "ifname": "eth0"}]
    assert "CNI_CONTAINERID" not in bench.calls()[0]["env"]


def test_status_asks_every_plugin_until_one_cannot_serve(bench):
    assert bench.runtime.status()
    assert bench.commands() == [("STATUS", "one"), ("STATUS", "two")]
    bench.configure(fail=["STATUS"])
    with pytest.raises(PluginError):
        bench.runtime.status()


@pytest.mark.parametrize("version", ["0.4.0", "1.0.0"])
def test_garbage_collection_and_status_need_version_1_1_0(bench, version):
    bench.configure(version=version)
    assert not bench.runtime.collect_garbage([ATTACHMENT])
    assert not bench.runtime.status()
    assert bench.calls() == []


def test_a_node_without_conflist_is_not_ready(bench):
    (bench.root / "conf" / "10-test.conflist").unlink()
    with pytest.raises(ConfigurationError, match="not serving yet") as caught:
        bench.runtime.add(ATTACHMENT)
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        ("exit 3", PluginError, "exit status 3"),
        ("echo oops; exit 1", PluginError, "oops"),
        ("echo '[]'", HostError, "no object"),
        ("echo '{'", HostError, "no JSON"),
        ("true", HostError, "no result"),
    ],
)
def test_a_plugin_that_breaks_the_protocol_is_reported(bench, script, error, words):
    program = bench.root / "bin" / "one"
    program.write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(error, match=words):
        bench.runtime.add(ATTACHMENT)


def test_a_missing_plugin_is_reported_with_the_places_looked_at(bench):
    os.unlink(bench.root / "bin" / "two")
    with pytest.raises(ConfigurationError, match=str(bench.root / "bin")):
        bench.runtime.add(ATTACHMENT)
