"""Names, folders, options and the identity of the daemon."""

import json
import os
from pathlib import Path

import pytest

from vpc_cni.errors import CallerError
from vpc_cni.lab import LabOptions, statefile
from vpc_cni.lab.nodes.environment import AgentSurroundings, agent_environment, parse_override
from vpc_cni.lab.options import encode_options, parse_options
from vpc_cni.lab.paths import LabPaths, default_base, lab_paths
from vpc_cni.lab.rootless import find_refusal


@pytest.mark.parametrize("name", ["", "-a", "A", "a/b", "..", "a" * 25, "a b"])
def test_a_lab_name_that_is_no_folder_name_is_refused(name):
    with pytest.raises(CallerError, match="not valid"):
        lab_paths(name, {}, 0)


@pytest.mark.parametrize(
    ("environment", "uid", "base"),
    [
        ({}, 0, "/run/vpc-cni-lab"),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/user/7/vpc-cni-lab"),
        ({"VPC_CNI_LAB_DIR": "/x"}, 7, "/x"),
        ({"VPC_CNI_LAB_DIR": "/x"}, 0, "/x"),
    ],
)
def test_the_base_folder_depends_on_the_user(environment, uid, base):
    assert default_base(environment, uid) == Path(base)


def test_the_longest_socket_path_fits_a_unix_address():
    paths = lab_paths("a" * 24, {}, 0).node("node-100")
    assert len(str(paths.socket)) < 108


def test_options_survive_the_wire():
    options = LabOptions(name="x", nodes=3, env={"A": "1"}, latency_seconds={"*": 0.5})
    assert parse_options(encode_options(options)) == options


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nodes": -1}, "-1 nodes"),
        ({"nodes": 101}, "101 nodes"),
        ({"vpc_cidr": "10.0.0.0/8"}, "not a usable VPC block"),
        ({"vpc_cidr": "10.0.0.1/16"}, "not an IPv4 network"),
        ({"vpc_cidr": "fd00::/64"}, "not an IPv4 network"),
    ],
)
def test_impossible_options_are_refused(changes, words):
    with pytest.raises(CallerError, match=words):
        LabOptions(**changes)


@pytest.mark.parametrize(("text", "pair"), [("A=1", ("A", "1")), ("A_B=x=y", ("A_B", "x=y")), ("A=", ("A", ""))])
def test_an_override_is_split_at_the_first_equals_sign(text, pair):
    assert parse_override(text) == pair


@pytest.mark.parametrize("text", ["A", "=1", "A B=1", ""])
def test_an_override_without_name_or_value_is_refused(text):
    with pytest.raises(CallerError, match="NAME=VALUE"):
        parse_override(text)


def test_overrides_win_over_the_labs_own_variables():
    paths = LabPaths(Path("/run/x"), "lab").node("node-1")
    around = AgentSurroundings("node-1", "lab", "us-west-2", "http://1.2.3.4", {"ENABLE_IPv4": "false", "NEW": "1"})
    environment = agent_environment(paths, around)
    assert (environment["ENABLE_IPv4"], environment["NEW"]) == ("false", "1")
    assert environment["VPC_CNI_RUN_DIR"] == "/run/x/lab/nodes/node-1/run"
    assert environment["AWS_EC2_ENDPOINT"] == "http://1.2.3.4"


def test_a_living_daemon_is_found_by_its_state(tmp_path):
    paths = LabPaths(tmp_path, "lab")
    paths.root.mkdir()
    statefile.write_state(paths, statefile.current_identity())
    found = statefile.read_state(paths)
    assert found is not None
    assert found.pid == os.getpid()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        json.dumps({"pid": os.getpid(), "start_ticks": 1}),
        json.dumps({"pid": 2**22 + 1, "start_ticks": 1}),
    ],
    ids=["empty", "no fields", "list", "another process with this number", "no process"],
)
def test_a_state_that_names_no_living_daemon_is_none(tmp_path, content):
    paths = LabPaths(tmp_path, "lab")
    paths.root.mkdir()
    paths.state_file.write_text(content)
    assert statefile.read_state(paths) is None


def test_only_one_holds_the_lock(tmp_path):
    paths = LabPaths(tmp_path / "base", "lab")
    held = statefile.acquire_lock(paths)
    with pytest.raises(CallerError, match="already up"):
        statefile.acquire_lock(paths)
    statefile.release_lock(paths, held)
    assert not paths.base.exists()
    statefile.release_lock(paths, statefile.acquire_lock(paths))


def test_leftovers_are_removed_once(tmp_path):
    paths = LabPaths(tmp_path, "lab")
    (paths.root / "nodes" / "node-1").mkdir(parents=True)
    assert statefile.clear_leftovers(paths)
    assert not statefile.clear_leftovers(paths)


@pytest.mark.parametrize(
    ("uid", "switches", "words"),
    [
        (0, {"user/max_user_namespaces": "0"}, None),
        (7, {}, None),
        (7, {"user/max_user_namespaces": "0"}, "user.max_user_namespaces is 0"),
        (7, {"kernel/unprivileged_userns_clone": "0"}, "kernel.unprivileged_userns_clone is 0"),
        (7, {"kernel/unprivileged_userns_clone": "1"}, None),
    ],
)
def test_a_refusal_names_the_switch(tmp_path, uid, switches, words):
    for name, value in switches.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(value + "\n")
    refusal = find_refusal(uid, tmp_path)
    assert refusal is None if words is None else words in (refusal or "")
