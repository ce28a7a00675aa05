"""5,000 malformed requests to a running agent, at its socket and through the plugin: an error each, nothing stays."""

import array
import json
import os
import random
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from live_malformed import SocketCase, plugin_case, socket_case
from live_node import LiveNode, Sandbox, report, wait_until

from vpc_cni.errors import CniCode
from vpc_cni.lab.runtime.invoke import PROGRAM_PATH
from vpc_cni.netlink.netns import Netns, enter_netns
from vpc_cni.rpc.frames import FrameBuffer
from vpc_cni.rpc.messages import Request, Result, decode_answer, encode_request

CASES = 2500
HALF_OPEN = 40
ANSWER_SECONDS = 10.0
CODES = frozenset(CniCode)


@pytest.fixture(scope="module")
def node(start_node: Callable[..., LiveNode]) -> LiveNode:
    return start_node(instance_type="t3.small", env={"IP_COOLDOWN_PERIOD": "0"})


@pytest.fixture(scope="module")
def bystander(node: LiveNode) -> Sandbox:
    """A pod that has nothing to do with all this."""
    sandbox = node.sandbox("bystander")
    assert node.call("ADD", sandbox).exit_code == 0
    return sandbox


@pytest.fixture
def undisturbed(node: LiveNode, bystander: Sandbox) -> Iterator[None]:
    """Assert that the agent is the same process, holds nothing more than before, and serves."""
    before, descriptors, pods = node.agent_pid, settled_descriptors(node), node.pod_addresses()
    yield
    wait_until(lambda: node.agent_descriptors() <= descriptors, 12, "the agent's descriptors as before")
    assert node.agent_pid == before
    assert node.pod_addresses() == pods
    wait_until(lambda: node.pool()["cooling"] == 0, 5, "the links of refused ADDs")
    pool = node.pool()
    assert (pool["assigned"], pool["quarantined"], pool["waiting"]) == (len(pods), 0, 0)
    assert node.bugs() == []
    another = node.sandbox("another")
    assert node.call("ADD", another).exit_code == 0
    assert node.call("DEL", another).exit_code == 0
    assert node.call("CHECK", bystander, node.config(prevResult={"cniVersion": "1.0.0"})).exit_code == 0


def settled_descriptors(node: LiveNode) -> int:
    node.status()
    node.metrics()
    return node.agent_descriptors()


def seeded() -> tuple[random.Random, int]:
    seed = int(os.environ.get("VPC_CNI_SEED") or random.randrange(1 << 32))  # noqa: S311 - repeatable, no secret
    report(f"VPC_CNI_SEED={seed}")
    return random.Random(seed), seed  # noqa: S311


def judge(exit_code: int, stdout: bytes) -> str:
    """Assert that an answer is a success or a specified error; return which."""
    if exit_code == 0:
        return "success"
    assert exit_code == 1, stdout
    error = json.loads(stdout)
    assert error["code"] in CODES, error
    assert error["msg"], error
    return str(CniCode(error["code"]).name)


# -- the socket -------------------------------------------------------------------------------------------------------


class Sender:
    """Sends cases to the agent's socket with descriptors that fit no request: nothing that they name is a pod."""

    def __init__(self, node: LiveNode, exits: ExitStack) -> None:
        self._path = node.info.socket_path
        one, other = exits.enter_context(Netns.create()), exits.enter_context(Netns.create())
        in_one = exits.enter_context(one.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE))
        packets = exits.enter_context(one.socket(socket.AF_INET, socket.SOCK_DGRAM))
        null = os.open("/dev/null", os.O_RDONLY)
        exits.callback(os.close, null)
        # Never the socket and the namespace of one and the same place: an ADD cannot come out of it.
        self.descriptors = [in_one.fileno(), other.fd, packets.fileno(), null]

    def open(self, case: SocketCase) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(self._path)
        fds = array.array("i", [self.descriptors[position] for position in case.descriptors])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if fds and case.data else []
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendmsg([case.data], ancillary)
        return connection

    def ask(self, case: SocketCase) -> str:
        """Return what came back, as a word."""
        with self.open(case) as connection:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            return _read_answer(connection)


def _read_answer(connection: socket.socket) -> str:
    buffer = FrameBuffer()
    while True:
        try:
            data = connection.recv(1 << 16)
        except ConnectionResetError:
            return "closed"
        if not data:
            return "closed"
        frame = buffer.feed(data)
        while frame is not None:
            answer = decode_answer(frame)
            if isinstance(answer, Result):
                return judge(answer.exit_code, answer.stdout)
            frame = buffer.feed(b"")


def test_malformed_requests_to_the_socket(node: LiveNode, undisturbed: None) -> None:
    rng, seed = seeded()
    config, before = node.config(), settled_descriptors(node)
    seen: Counter[str] = Counter()
    with ExitStack() as exits:
        sender = Sender(node, exits)
        for number in range(CASES):
            case = socket_case(rng, config, len(sender.descriptors))
            if number % (CASES // HALF_OPEN) == 0:  # left open without a word more; the agent must let go by itself
                exits.enter_context(sender.open(SocketCase(case.data[: len(case.data) // 2], case.descriptors)))
                continue
            seen[sender.ask(case)] += 1
        report(f"bad input: {CASES} to the socket, {HALF_OPEN} of them half-open: {dict(seen)}")
        wait_until(lambda: node.agent_descriptors() <= before, ANSWER_SECONDS, "the end of half-open connections")
    assert seen["success"] < CASES / 2, f"not malformed enough (seed {seed})"
    assert seen["KERNEL"], "no ADD went as far as the kernel"
    assert {"DECODING_FAILURE", "INVALID_ENVIRONMENT"} <= seen.keys()


def test_an_add_into_the_namespace_of_the_node_is_refused(node: LiveNode, undisturbed: None) -> None:
    """The plugin never asks for that; another program that may write to the socket could."""
    config = json.dumps(node.config()).encode()
    request = Request("ADD", config, "c1", node.info.netns_path, "eth9", deadline_ms=5000, descriptors="sn")
    with ExitStack() as exits:
        sender = Sender(node, exits)
        in_node = exits.enter_context(node.netns.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE))
        sender.descriptors = [in_node.fileno(), node.netns.fd]
        assert sender.ask(SocketCase(encode_request(request), (0, 1))) == "INVALID_ENVIRONMENT"


# -- the plugin -------------------------------------------------------------------------------------------------------


class PluginRunner:
    """Runs plugin cases on threads inside the node; each has its part of the cases."""

    def __init__(self, node: LiveNode) -> None:
        self._node = node
        self._program = str(Path(node.info.plugin_dir) / "aws-cni")
        self.seen: Counter[str] = Counter()
        self.problems: list[object] = []

    def run(self, seed: int, cases: int, threads: int = 2) -> None:
        parts = [threading.Thread(target=self._part, args=(seed + n, cases // threads)) for n in range(threads)]
        for part in parts:
            part.start()
        for part in parts:
            part.join()

    def _part(self, seed: int, cases: int) -> None:
        enter_netns(self._node.netns.fd)
        rng, config = random.Random(seed), self._node.config("1.1.0")  # noqa: S311
        with Netns.create() as pod:
            for _ in range(cases):
                sandbox = Sandbox("malformed", pod, f"malformed{rng.randrange(50)}")
                usual = {**sandbox.environment(rng.choice(("ADD", "DEL", "CHECK", "STATUS", "GC")))}
                case = plugin_case(rng, config, {"CNI_PATH": "/opt/cni/bin", **usual})
                self._run_one(case.stdin, case.environment)

    def _run_one(self, stdin: bytes, environment: dict[str, str]) -> None:
        done = self._execute(stdin, environment)
        try:
            assert done.stderr == b""
            word = judge(done.returncode, done.stdout)
        except (AssertionError, ValueError, KeyError) as err:
            self.problems.append((err, environment, stdin[:300]))
            return
        self.seen[word] += 1
        if word == "success" and environment.get("CNI_COMMAND") == "ADD":
            # The oddity was harmless. What the runtime gave once, it gives for the DEL too.
            assert self._execute(stdin, {**environment, "CNI_COMMAND": "DEL"}).returncode == 0

    def _execute(self, stdin: bytes, environment: dict[str, str]) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [self._program],
            input=stdin,
            env={"PATH": PROGRAM_PATH, **environment},
            capture_output=True,
            timeout=60,
            check=False,
        )


def test_malformed_requests_through_the_plugin(node: LiveNode, undisturbed: None) -> None:
    _rng, seed = seeded()
    runner = PluginRunner(node)
    runner.run(seed, CASES)
    report(f"bad input: {CASES} through the plugin: {dict(runner.seen)}")
    assert runner.problems == []
    assert sum(runner.seen.values()) == CASES
    assert runner.seen["success"] < CASES / 2
    assert {"DECODING_FAILURE", "INVALID_ENVIRONMENT", "INVALID_NETWORK_CONFIG"} <= runner.seen.keys()
    spool = Path(node.info.run_dir) / "spool"
    assert not any(spool.iterdir()), "a DEL was recorded although the agent was there"
