"""Thousands of malformed requests and answers: always a specified error, never a crash, never a hang.

The plugin runs in a folder of its own (chroot), since a mutated agentSocket makes a DEL write its record wherever it
then points. Seeds are fixed; a failure prints the case.
"""

import contextlib
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from vpc_cni.plugin.build import Compiler, compile_plugin, find_compiler
from vpc_cni.plugin.locate import host_architecture
from vpc_cni.rpc import Progress, Result, decode_spooled, encode_progress, encode_result

REQUESTS = 5000
SANITIZED_REQUESTS = 1000
ANSWERS = 1000
CODES = {1, 4, 5, 6, 7, 11, 50, 100}
COMMANDS = ["ADD", "DEL", "CHECK", "STATUS", "GC", "VERSION"]
HANG_SECONDS = 5
# Undefined behaviour ends in a trap here: a static program cannot carry the sanitizer's library.
TRAPPING = ("-std=gnu11", "-O1", "-static", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
SANITIZED = ("-std=gnu11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
QUICK = (
    "STDIN_MS=300",
    "FIRST_ANSWER_MS=300",
    "RETRY_MS=0",
    "ADD_MS=500",
    "OTHER_MS=500",
    'DEFAULT_SOCKET="/run/a.sock"',
)

CONFIG = {
    "cniVersion": "1.1.0",
    "name": "aws-cni",
    "type": "aws-cni",
    "agentSocket": "/run/a.sock",
    "vethPrefix": "eni",
    "mtu": "9001",
    "prevResult": {"interfaces": [{"name": "eth0", "sandbox": "/x"}], "ips": [{"address": "10.0.0.1/32"}]},
    "runtimeConfig": {"portMappings": [{"hostPort": 1, "containerPort": -2.5e3}], "ü": [True, False, None, "\u20ac"]},
}


@dataclass(frozen=True)
class Run:
    """One run: exit status (negative: a signal) and standard output."""

    status: int
    stdout: bytes


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Damage bytes in one to four places."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(out))
        match rng.randrange(6):
            case 0:
                del out[at:]
            case 1:
                del out[at : at + rng.randint(1, 9)]
            case 2:
                out[at:at] = rng.randbytes(rng.randint(1, 6))
            case 3:
                out[at:at] = rng.choice(
                    [b'"', b"\\", b"{", b"[", b"}", b"]", b",", b":", b"\\ud83d", b"-", b"1e", b"\0"]
                )
            case 4 if out:
                out[at % len(out)] ^= 1 << rng.randrange(8)
            case _:
                out[at:at] = out[: rng.randint(0, 40)]
    return bytes(out)


def make_stdin(rng: random.Random) -> bytes:
    config = dict(CONFIG)
    if rng.random() < 0.3:
        key = rng.choice([*config, "cniVersion", "name"])
        config[key] = rng.choice([None, 1, [], {}, "", "x" * rng.randint(1, 600), "1.0.0", "0.3.1", "a/b", "\0", True])
    data = json.dumps(config, ensure_ascii=rng.random() < 0.5).encode()
    return data if rng.random() < 0.3 else mutate(rng, data)


def make_environment(rng: random.Random, commands: list[str]) -> dict[bytes, bytes]:
    environment = {
        b"CNI_COMMAND": rng.choice(commands).encode(),
        b"CNI_CONTAINERID": b"c0ffee",
        b"CNI_IFNAME": b"eth0",
        b"CNI_NETNS": b"/none",
        b"CNI_ARGS": b"K8S_POD_NAME=a",
    }
    for name in list(environment):
        chance = rng.random()
        if chance < 0.03:
            del environment[name]
        elif chance < 0.10 and name != b"CNI_COMMAND":
            environment[name] = mutate(rng, environment[name]).replace(b"\0", b"")
        elif chance < 0.12:
            odd = [b"", b".", b"..", b"/", b"a/b", b"x" * 300, b"y" * 17_000, b"%s%n", b'"\\']
            environment[name] = rng.choice(odd)
    return environment


def run_once(binary: str, environment: dict[bytes, bytes], stdin: bytes) -> Run:
    """Run the plugin; kill it after HANG_SECONDS, which then shows as a negative status."""
    source, sink = os.memfd_create("stdin"), os.memfd_create("stdout")
    try:
        os.write(source, stdin)
        os.lseek(source, 0, os.SEEK_SET)
        actions = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, sink, 1), (os.POSIX_SPAWN_DUP2, sink, 2)]
        status = wait_or_kill(os.posix_spawn(binary, [binary], environment, file_actions=actions))
        os.lseek(sink, 0, os.SEEK_SET)
        return Run(status, os.read(sink, 1 << 22))
    finally:
        os.close(source)
        os.close(sink)


def wait_or_kill(pid: int) -> int:
    pidfd = os.pidfd_open(pid)
    if not select.select([pidfd], [], [], HANG_SECONDS)[0]:
        os.kill(pid, signal.SIGKILL)
    os.close(pidfd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def judge(environment: dict[bytes, bytes], run: Run) -> str:
    """Say what is wrong with a run; empty when nothing is."""
    command = environment.get(b"CNI_COMMAND", b"")
    if run.status == 0:
        if command == b"VERSION":
            return "" if "supportedVersions" in json.loads(run.stdout) else "VERSION without versions"
        return "" if command == b"DEL" and not run.stdout else "success without an agent"
    if run.status != 1:
        return f"exit status {run.status}"
    try:
        error = json.loads(run.stdout)
    except ValueError:
        return "not one JSON object"
    if set(error) != {"cniVersion", "code", "msg", "details"} or not error["msg"] or not error["details"]:
        return "not an error object"
    return "" if error["code"] in CODES else f"code {error['code']}"


def fuzz_requests(binary: str, seed: int, count: int, commands: list[str]) -> list[str]:
    problems = []
    seen: set[bytes] = set()
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for number in range(count):
        environment, stdin = make_environment(rng, commands), make_stdin(rng)
        run = run_once(binary, environment, stdin)
        seen.update(re.findall(rb'"code":(\d+)', run.stdout))
        problem = judge(environment, run)
        if problem:
            problems.append(f"seed {seed} case {number}: {problem}: {environment!r} {stdin!r} {run!r}")
    if not seen >= {b"1", b"4", b"6", b"7", b"11", b"50"}:
        problems.append(f"the cases reach only the codes {seen}")
    return problems


def make_answer(rng: random.Random) -> bytes:
    result = encode_result(Result(rng.randrange(3), b'{"a":1}' * rng.randrange(3), "v"))
    frames = encode_progress(Progress("x")) * rng.randrange(3) + result
    return frames if rng.random() < 0.1 else mutate(rng, frames)


def serve_answers(listener: socket.socket, rng: random.Random) -> None:
    """Answer each connection with damaged frames in random pieces."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        answer = make_answer(rng)
        cut = rng.randint(0, len(answer))
        # The plugin may have seen enough after the first piece. An unread request makes it a reset, not a close.
        with connection, contextlib.suppress(BrokenPipeError):
            if rng.random() < 0.8:
                connection.recv(1 << 16)
            connection.sendall(answer[:cut])
            connection.sendall(answer[cut:])


def fuzz_answers(binary: str, seed: int, count: int) -> list[str]:
    problems = []
    environment = {b"CNI_COMMAND": b"STATUS"}
    stdin = json.dumps(CONFIG).encode()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("/run/a.sock")
        listener.listen()
        rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
        thread = threading.Thread(target=serve_answers, args=(listener, rng), daemon=True)
        thread.start()
        for number in range(count):
            run = run_once(binary, environment, stdin)
            if run.status < 0:
                problems.append(f"seed {seed} answer {number}: {run!r}")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    return problems


def in_chroot(root: Path, work: Callable[[], list[str]]) -> list[str]:
    """Run ``work`` in a child whose root is ``root``; return what it returns."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chroot(root)
            os.chdir("/")
            problems = work()
        except BaseException:
            problems = [traceback.format_exc()]
        with os.fdopen(write_end, "w") as pipe:
            json.dump(problems[:20], pipe)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    found: list[str] = json.loads(text)
    return found


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A root folder with the plugin in it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: chroot")
    gcc = shutil.which("gcc")
    compiler = Compiler("gcc", (gcc,)) if gcc else find_compiler(host_architecture())
    compile_plugin(compiler, tmp_path / "aws-cni", version="1", defines=QUICK, flags=TRAPPING if gcc else ())
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path


def test_malformed_requests(box):
    assert in_chroot(box, lambda: fuzz_requests("/aws-cni", 20240501, REQUESTS, COMMANDS)) == []
    records = [path for path in box.rglob("*") if path.is_file() and path.name != "aws-cni"]
    assert len(records) > 5
    for path in records:
        assert len(path.name) == 64, "no temporary file is left"
        assert decode_spooled(path.read_bytes()).command == "DEL"


def test_malformed_answers(box):
    assert in_chroot(box, lambda: fuzz_answers("/aws-cni", 20240502, ANSWERS)) == []


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc: its sanitizers")
def test_malformed_requests_under_the_sanitizers(tmp_path):
    """Without DEL: this build cannot live in a chroot, and only DEL writes."""
    binary = tmp_path / "aws-cni"
    compile_plugin(Compiler("gcc", ("gcc",)), binary, version="1", defines=QUICK, flags=SANITIZED)
    commands = [command for command in COMMANDS if command != "DEL"]
    assert fuzz_requests(str(binary), 20240503, SANITIZED_REQUESTS, commands) == []
