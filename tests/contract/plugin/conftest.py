"""A scripted agent, sandboxes and the plugin itself, as the contract tests need them."""

import asyncio
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.plugin.build import Compiler, compile_plugin, ensure_plugin, find_compiler, read_version
from vpc_cni.plugin.locate import host_architecture
from vpc_cni.rpc.descriptors import PassedDescriptors
from vpc_cni.rpc.messages import Progress, Request, Result, encode_progress, encode_result
from vpc_cni.rpc.transport import open_listener, receive_request, send_frame

# Time limits of the quick build, in milliseconds; the real ones are in shim.h. The short ones and the long ones lie far
# enough apart to be told from each other on a busy machine.
QUICK = {
    "STDIN_MS": 300,
    "FIRST_ANSWER_MS": 300,
    "RETRY_MS": 250,
    "RESTART_MAX_MS": 1500,
    "ADD_MS": 3000,
    "OTHER_MS": 2500,
}

SANITIZED = ("-std=gnu11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
# The program has no heap to leak; a finding must not look like exit status 1.
SANITIZER_OPTIONS = {"ASAN_OPTIONS": "detect_leaks=0:exitcode=99", "UBSAN_OPTIONS": "exitcode=99"}


@dataclass(frozen=True)
class Outcome:
    """What one run of the plugin left behind."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    def assert_error(self, code: int, *words: str, version: str | None = None) -> None:
        """Assert exit status 1 and exactly one error object with the code and the words in it."""
        assert (self.exit_code, self.stderr) == (1, b""), self
        error = self.json
        assert set(error) == {"cniVersion", "code", "msg", "details"}, error
        assert error["code"] == code, error
        assert error["details"], "an error says what to do"
        for word in words:
            assert word in error["msg"] + error["details"], error
        if version is not None:
            assert error["cniVersion"] == version

    def assert_silent_success(self) -> None:
        assert (self.exit_code, self.stdout, self.stderr) == (0, b"", b""), self


class Plugin:
    """Runs a plugin binary as a container runtime does."""

    def __init__(self, binary: Path, socket: Path, netns: str) -> None:
        self.binary = binary
        self.socket = socket
        self.netns = netns

    def config(self, version: str = "1.0.0", **members: Any) -> bytes:
        config = {"cniVersion": version, "name": "aws-cni", "type": "aws-cni", "agentSocket": str(self.socket)}
        return json.dumps({key: value for key, value in (config | members).items() if value is not None}).encode()

    def environment(self, command: str, **variables: str | None) -> dict[str, str]:
        usual: dict[str, str | None] = {"CNI_COMMAND": command, "CNI_PATH": "/opt/cni/bin", **SANITIZER_OPTIONS}
        if command in ("ADD", "DEL", "CHECK"):
            usual |= {"CNI_CONTAINERID": "c0ffee", "CNI_IFNAME": "eth0", "CNI_NETNS": self.netns}
            usual |= {"CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0"}
        return {key: value for key, value in (usual | variables).items() if value is not None}

    def run(self, command: str, stdin: bytes | None = None, **variables: str | None) -> Outcome:
        start = time.monotonic()
        done = subprocess.run(
            [self.binary],
            input=self.config() if stdin is None else stdin,
            env=self.environment(command, **variables),
            capture_output=True,
            timeout=70,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr, time.monotonic() - start)


@dataclass
class Session:
    """One connection at the scripted agent."""

    request: Request
    descriptors: PassedDescriptors
    _socket: Any

    async def result(self, exit_code: int = 0, stdout: bytes = b"") -> None:
        await self.raw(encode_result(Result(exit_code, stdout, "test")))

    async def progress(self, state: str = "waiting") -> None:
        await self.raw(encode_progress(Progress(state)))

    async def raw(self, data: bytes) -> None:
        assert await send_frame(self._socket, data, timeout_seconds=5)


Behaviour = Callable[[Session], Awaitable[None]]


@dataclass
class ScriptedAgent:
    """An agent that does what a test says. ``behaviours`` are used in turn, the last one for ever."""

    path: Path
    behaviours: Sequence[Behaviour]
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> "ScriptedAgent":
        self._listener = open_listener(self.path)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        self._loop.close()
        self._listener.close()
        self.path.unlink(missing_ok=True)

    async def _serve(self) -> None:
        self._task = asyncio.ensure_future(self._accept())
        await asyncio.gather(self._task, return_exceptions=True)

    async def _accept(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                sock, _ = await self._loop.sock_accept(self._listener)
                group.create_task(self._talk(sock))

    async def _talk(self, sock: Any) -> None:
        with sock:
            request, descriptors = await receive_request(sock, timeout_seconds=5)
            with descriptors:
                self.requests.append(request)
                behave = self.behaviours[min(len(self.requests), len(self.behaviours)) - 1]
                await behave(Session(request, descriptors, sock))


@pytest.fixture(scope="session")
def real_binary() -> Path:
    """The binary that is shipped, with its real time limits."""
    return ensure_plugin(host_architecture(), version=read_version())


@pytest.fixture(scope="session")
def quick_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sources with short time limits; with gcc's sanitizers when it is here."""
    path = tmp_path_factory.mktemp("quick") / "aws-cni"
    gcc = shutil.which("gcc")
    compiler = Compiler("gcc", (gcc,)) if gcc else find_compiler(host_architecture())
    defines = [f"{name}={value}" for name, value in QUICK.items()]
    compile_plugin(compiler, path, version="9.9.9", defines=defines, flags=SANITIZED if gcc else ())
    return path


@pytest.fixture(scope="session")
def netns() -> Iterator[str]:
    """A network namespace, by path; it lives as long as a process of ours."""
    if os.geteuid() != 0:
        pytest.skip("needs root: enters network namespaces")
    own = os.readlink("/proc/self/ns/net")
    with subprocess.Popen(["/usr/bin/unshare", "--net", "cat"], stdin=subprocess.PIPE) as keeper:
        path = f"/proc/{keeper.pid}/ns/net"
        while os.readlink(path) == own:
            time.sleep(0.001)
        yield path
        assert keeper.stdin is not None
        keeper.stdin.close()


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "vpc-cni.sock"


@pytest.fixture
def plugin(quick_binary: Path, socket_path: Path, netns: str) -> Plugin:
    """The quick build, pointed at this test's socket."""
    return Plugin(quick_binary, socket_path, netns)


@pytest.fixture
def real_plugin(real_binary: Path, socket_path: Path, netns: str) -> Plugin:
    return Plugin(real_binary, socket_path, netns)


@pytest.fixture
def agent(socket_path: Path) -> Callable[..., ScriptedAgent]:
    """Make an agent (a context manager) from behaviours."""

    def make(*behaviours: Behaviour) -> ScriptedAgent:
        return ScriptedAgent(socket_path, behaviours)

    return make


async def _answer_like_an_agent(session: Session) -> None:
    """Print what a pool of one address would: enough for the plugin's own contract."""
    if session.request.command != "ADD":
        await session.result()
        return
    version = json.loads(session.request.config)["cniVersion"]
    await session.result(0, json.dumps({"cniVersion": version, "ips": [{"address": "10.0.0.5/32"}]}).encode())


@pytest.fixture
def answering() -> Behaviour:
    return _answer_like_an_agent
