"""Bad input of every kind: one error object of the specification, exit status 1, and the agent is not asked."""

import json
import os
import subprocess
import time

import pytest

from vpc_cni.rpc.cni import SUPPORTED_VERSIONS

GOOD = {"cniVersion": "1.0.0", "name": "aws-cni", "type": "aws-cni"}


@pytest.mark.parametrize(
    ("variables", "code", "words"),
    [
        ({"CNI_CONTAINERID": None}, 4, ["CNI_CONTAINERID"]),
        ({"CNI_IFNAME": None}, 4, ["CNI_IFNAME"]),
        ({"CNI_NETNS": None}, 4, ["CNI_NETNS"]),
        ({"CNI_NETNS": ""}, 4, ["CNI_NETNS"]),
        (
            {"CNI_CONTAINERID": "", "CNI_IFNAME": "", "CNI_NETNS": ""},
            4,
            ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"],
        ),
        ({"CNI_CONTAINERID": "a/b"}, 4, ["CNI_CONTAINERID", "a/b"]),
        ({"CNI_CONTAINERID": "../x"}, 4, ["CNI_CONTAINERID"]),
        ({"CNI_CONTAINERID": "-a"}, 4, ["CNI_CONTAINERID"]),
        ({"CNI_CONTAINERID": "a b"}, 4, ["CNI_CONTAINERID"]),
        ({"CNI_CONTAINERID": "é"}, 4, ["CNI_CONTAINERID"]),
        ({"CNI_CONTAINERID": 'a"b\\'}, 4, ['a"b\\']),
        ({"CNI_CONTAINERID": "c" * 256}, 4, ["CNI_CONTAINERID"]),
        ({"CNI_IFNAME": "a/b"}, 4, ["CNI_IFNAME"]),
        ({"CNI_IFNAME": "a:b"}, 4, ["CNI_IFNAME"]),
        ({"CNI_IFNAME": "a b"}, 4, ["CNI_IFNAME"]),
        ({"CNI_IFNAME": "a\n"}, 4, ["CNI_IFNAME"]),
        ({"CNI_IFNAME": "eth%d"}, 4, ["CNI_IFNAME"]),
        ({"CNI_IFNAME": "."}, 4, ["CNI_IFNAME"]),
        ({"CNI_IFNAME": ".."}, 4, ["CNI_IFNAME"]),
        ({"CNI_IFNAME": "sixteen-bytes-xx"}, 4, ["CNI_IFNAME"]),
        ({"CNI_NETNS": "/nowhere"}, 4, ["CNI_NETNS", "/nowhere", "No such file"]),
        ({"CNI_NETNS": "/etc/passwd"}, 4, ["CNI_NETNS", "not a network namespace"]),
        ({"CNI_NETNS": "/"}, 4, ["CNI_NETNS", "not a network namespace"]),
        ({"CNI_NETNS": "/proc/self/ns/mnt"}, 4, ["CNI_NETNS", "not a network namespace"]),
        ({"CNI_NETNS": "/proc/self/ns/net"}, 4, ["CNI_NETNS", "host"]),
        ({"CNI_NETNS": "/dev/null"}, 4, ["CNI_NETNS", "not a network namespace"]),
        ({"CNI_NETNS": "/x" * 3000}, 4, ["CNI_NETNS", "too long"]),
        ({"CNI_ARGS": "x" * 20_000}, 4, ["CNI_ARGS", "longer"]),
        ({"CNI_PATH": "x" * 20_000}, 4, ["CNI_PATH", "longer"]),
        ({"CNI_ARGS": os.fsdecode(b"K8S_POD_NAME=\xff")}, 4, ["CNI_ARGS", "UTF-8"]),
        ({"CNI_COMMAND": None}, 4, ["CNI_COMMAND"]),
        ({"CNI_COMMAND": "add"}, 4, ["CNI_COMMAND", "add"]),
        ({"CNI_COMMAND": "X" * 5000}, 4, ["CNI_COMMAND"]),
    ],
)
def test_variables_of_an_add(plugin, variables, code, words):
    plugin.run("ADD", **variables).assert_error(code, *words)


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        (b"", 6, ["empty"]),
        (b"   \n", 6, ["empty"]),
        (b"null", 6, ["object"]),
        (b"[]", 6, ["object"]),
        (b'"text"', 6, ["object"]),
        (b"{", 6, ["expected a string"]),
        (b'{"name"', 6, ["':'"]),
        (b'{"name":', 6, ["unexpected end"]),
        (b'{"name":"x"', 6, ["'}'"]),
        (b'{"name":"x",}', 6, ["expected a string"]),
        (b'{"a":[1,]}', 6, ["expected a value"]),
        (b'{"a":01}', 6, ["at byte 6"]),
        (b'{"a":1.}', 6, ["digit"]),
        (b'{"a":+1}', 6, ["value"]),
        (b'{"a":nul}', 6, ["value"]),
        (b'{"a":"\n"}', 6, ["control character"]),
        (b'{"a":"\\x"}', 6, ["unknown escape"]),
        (b'{"a":"\\u12g4"}', 6, ["four hexadecimal"]),
        (b'{"a":"\\ud800"}', 6, ["lone surrogate"]),
        (b'{"a":"\xc0\x80"}', 6, ["UTF-8"]),
        (b'{"a":"\xed\xa0\x80"}', 6, ["UTF-8"]),
        (b"\xef\xbb\xbf{}", 6, ["object"]),
        (b"{} {}", 6, ["after the object"]),
        (b"{}\x00", 6, ["after the object"]),
        (b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", 6, ["nested"]),
        (b"[" * 1_000_000, 6, ["object"]),
        (b'{"name":"aws-cni"}', 1, ["0.1.0", *SUPPORTED_VERSIONS]),
        (json.dumps(GOOD | {"cniVersion": ""}).encode(), 1, SUPPORTED_VERSIONS),
        (json.dumps(GOOD | {"cniVersion": "0.1.0"}).encode(), 1, ["0.1.0", *SUPPORTED_VERSIONS]),
        (json.dumps(GOOD | {"cniVersion": "0.2.0"}).encode(), 1, ["0.2.0", *SUPPORTED_VERSIONS]),
        (json.dumps(GOOD | {"cniVersion": "9.0.0"}).encode(), 1, ["9.0.0", *SUPPORTED_VERSIONS]),
        (json.dumps(GOOD | {"cniVersion": "x" * 500}).encode(), 1, SUPPORTED_VERSIONS),
        (json.dumps(GOOD | {"cniVersion": 1}).encode(), 6, ["cniVersion"]),
        (json.dumps(GOOD | {"cniVersion": "1.0.0\x00"}).encode(), 6, ["cniVersion"]),
        (json.dumps({"cniVersion": "1.0.0"}).encode(), 7, ["name", "missing"]),
        (json.dumps(GOOD | {"name": ""}).encode(), 7, ["name"]),
        (json.dumps(GOOD | {"name": 5}).encode(), 7, ["name"]),
        (json.dumps(GOOD | {"name": "a/b"}).encode(), 7, ["name"]),
        (json.dumps(GOOD | {"name": "a" * 256}).encode(), 7, ["name"]),
        (json.dumps(GOOD | {"agentSocket": "relative"}).encode(), 7, ["agentSocket"]),
        (json.dumps(GOOD | {"agentSocket": 1}).encode(), 7, ["agentSocket"]),
        (json.dumps(GOOD | {"agentSocket": ""}).encode(), 7, ["agentSocket"]),
        (json.dumps(GOOD | {"agentSocket": "/" + "x" * 107}).encode(), 7, ["agentSocket"]),
        (b" " * ((1 << 20) + 1), 7, ["1 MiB"]),
        (b"x" * (3 << 20), 7, ["1 MiB"]),
    ],
)
@pytest.mark.parametrize("command", ["ADD", "DEL"])
def test_configurations(plugin, command, config, code, words):
    plugin.run(command, config).assert_error(code, *words)


def test_variables_are_judged_before_the_configuration(plugin):
    plugin.run("ADD", b"{", CNI_IFNAME=None).assert_error(4, "CNI_IFNAME", version="1.1.0")


def test_errors_speak_the_version_of_the_configuration(plugin):
    plugin.run("ADD", plugin.config("0.3.1"), CNI_NETNS="/nowhere").assert_error(4, version="0.3.1")


@pytest.mark.parametrize("stdin", [b"{", b'{"cniVersion":1}', b'{"cniVersion":"' + b"9" * 100 + b'"}'])
def test_version_with_input_that_is_not_one(plugin, stdin):
    plugin.run("VERSION", stdin).assert_error(6)


def test_a_fifo_as_namespace_does_not_hang(plugin, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    plugin.run("ADD", CNI_NETNS=str(tmp_path / "fifo")).assert_error(4, "not a network namespace")


@pytest.mark.parametrize(("command", "code"), [("ADD", 5), ("DEL", 5), ("STATUS", 5)])
def test_standard_input_that_never_ends(plugin, command, code):
    read_end, write_end = os.pipe()
    os.write(write_end, b'{"cniVersion"')
    start = time.monotonic()
    done = subprocess.run(
        [plugin.binary], check=False, stdin=read_end, env=plugin.environment(command), capture_output=True, timeout=9
    )
    os.close(read_end)
    os.close(write_end)
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == code
    assert "in time" in json.loads(done.stdout)["msg"]
    assert time.monotonic() - start < 4


def test_version_on_a_terminal_does_not_hang(plugin):
    read_end, write_end = os.pipe()
    done = subprocess.run(
        [plugin.binary], check=False, stdin=read_end, env={"CNI_COMMAND": "VERSION"}, capture_output=True, timeout=9
    )
    os.close(read_end)
    os.close(write_end)
    assert json.loads(done.stdout)["supportedVersions"] == list(SUPPORTED_VERSIONS)


def test_closed_standard_descriptors_are_survived(plugin, agent, answering):
    """With standard output closed, a socket must not take its number and receive what we print."""
    script = f"exec {plugin.binary} <&- >&- 2>&-"
    with agent(answering) as served:
        done = subprocess.run(["/bin/sh", "-c", script], env=plugin.environment("ADD"), check=False, timeout=9)
    assert done.returncode == 1
    assert served.requests == []


def test_a_reader_that_went_away_is_survived(plugin, agent, answering):
    read_end, write_end = os.pipe()
    os.close(read_end)
    with agent(answering):
        done = subprocess.run(
            [plugin.binary],
            input=plugin.config(),
            stdout=write_end,
            env=plugin.environment("ADD"),
            check=False,
            timeout=9,
        )
    os.close(write_end)
    assert done.returncode == 0


def test_without_root_it_says_so(plugin, tmp_path, quick_binary):
    tmp_path.chmod(0o755)
    binary = tmp_path / "aws-cni"
    binary.write_bytes(quick_binary.read_bytes())
    binary.chmod(0o755)
    done = subprocess.run(
        ["/usr/bin/setpriv", "--reuid=65534", "--clear-groups", "./aws-cni"],
        input=plugin.config(),
        env=plugin.environment("ADD") | {"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=9,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == 5
    assert "root" in json.loads(done.stdout)["details"]
