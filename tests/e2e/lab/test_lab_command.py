"""``vpc-cni lab`` as a newcomer uses it: every command once, in order."""

import json
import os
import subprocess
import sys

import pytest

NAME = f"cmd-{os.getpid()}"


def lab(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "vpc_cni.cli", "lab", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def read(*words):
    ended = lab(*words, "--json", "--name", NAME)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture(scope="module", autouse=True)
def _running():
    ended = lab("up", "--nodes", "2", "--set", "IP_COOLDOWN_PERIOD=0", "--name", NAME)
    assert ended.returncode == 0, ended.stderr
    assert "agent of node-2 serves" in ended.stderr
    yield
    ended = lab("down", "--name", NAME)
    assert ended.returncode == 0, ended.stderr
    assert lab("status", "--name", NAME).returncode == 2


def test_status_in_json_is_for_other_drivers():
    nodes = read("status")["nodes"]
    assert [node["name"] for node in nodes] == ["node-1", "node-2"]
    assert all(os.path.exists(node[key]) for node in nodes for key in ("netns_path", "conflist_path", "socket_path"))


def test_status_for_people_names_nodes_and_the_api():
    said = lab("status", "--name", NAME).stdout
    assert "node-2" in said
    assert "http://127.0.0.1:" in said


def test_pods_are_added_listed_entered_and_deleted():
    added = read("pod", "add", "--count", "3")
    assert len(added) == 3
    first, second = added[0]["name"], added[1]["name"]
    assert {pod["name"] for pod in read("pod", "list")} == {pod["name"] for pod in added}
    shown = lab("exec", "--name", NAME, first, "--", "ip", "-4", "-brief", "address", "show", "eth0")
    assert added[0]["address"] in shown.stdout
    assert lab("exec", "--name", NAME, first, "--", "ping", "-c1", "-W2", added[1]["address"]).returncode == 0
    assert lab("exec", "--name", NAME, first, "--", "sh", "-c", "exit 7").returncode == 7
    assert lab("pod", "delete", first, second, "--name", NAME).returncode == 0
    assert [pod["name"] for pod in read("pod", "list")] == [added[2]["name"]]
    assert lab("pod", "delete", "--all", "--name", NAME).returncode == 0


def test_check_prints_a_table_and_fails_with_a_broken_wire():
    healthy = lab("check", "--name", NAME)
    assert healthy.returncode == 0, healthy.stdout
    assert "everything works" in healthy.stdout
    read("pod", "add", "--count", "14")
    assert lab("fault", "loss", "node-1", "100", "--name", NAME).returncode == 0
    broken = lab("check", "--json", "--name", NAME)
    assert broken.returncode == 1
    lost = {row["title"] for row in json.loads(broken.stdout)["rows"] if not row["passed"]}
    assert "pod to pod, other node" in lost
    assert "pod to pod, same node" not in lost
    assert lab("fault", "clear", "--name", NAME).returncode == 0
    assert lab("pod", "delete", "--all", "--name", NAME).returncode == 0


def test_the_aws_command_works_with_the_printed_environment():
    lines = lab("env", "--name", NAME).stdout
    aws = f"{os.path.dirname(sys.executable)}/aws"
    command = f"{lines}\n{aws} ec2 describe-instances --query 'Reservations[].Instances[].Tags[].Value'"
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "node-1" in ended.stdout


@pytest.mark.parametrize(
    ("words", "explanation"),
    [
        (("up", "--name", NAME), "already up"),
        (("up", "--nodes", "900", "--name", "x"), "900 nodes"),
        (("up", "--set", "novalue", "--name", "x"), "NAME=VALUE"),
        (("up", "--name", "Not A Name"), "not valid"),
        (("pod", "add", "node-9", "--name", NAME), "node-9"),
        (("pod", "delete", "--name", NAME), "name the pods"),
        (("exec", "--name", NAME, "nobody", "--", "true"), "nobody"),
        (("fault", "throttle", "--name", NAME), "--read"),
        (("fault", "clear", "77", "--name", NAME), "77"),
        (("status", "--name", "missing"), "not up"),
    ],
    # Without the process number: processes that share the tests out must agree on their names.
    ids=lambda value: " ".join(value).replace(NAME, "cmd") if isinstance(value, tuple) else "",
)
def test_wrong_use_is_explained_in_one_place(words, explanation):
    ended = lab(*words)
    assert ended.returncode == 2
    assert explanation in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_agent_that_cannot_start_is_reported_with_its_reason():
    name = f"{NAME}-x"
    ended = lab("up", "--nodes", "1", "--set", "WARM_IP_TARGET=many", "--name", name)
    try:
        assert ended.returncode == 1
        assert "WARM_IP_TARGET" in ended.stderr
    finally:
        lab("down", "--name", name)
