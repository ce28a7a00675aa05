"""The plugin server over a real socket, with the client that does what the plugin does."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from vpc_cni.agent.clock import boottime
from vpc_cni.agent.server import Caller, Handler, PluginServer
from vpc_cni.errors import CapacityError, HostError, Shortage
from vpc_cni.rpc.client import exchange
from vpc_cni.rpc.cni import CniRequest
from vpc_cni.rpc.descriptors import PassedDescriptors
from vpc_cni.rpc.messages import Request, Result, encode_request

CONFIG = b'{"cniVersion": "1.0.0", "name": "aws-cni", "type": "aws-cni"}'


def delete(container_id: str = "c1") -> Request:
    return Request("DEL", CONFIG, container_id=container_id, ifname="eth0", deadline_ms=5000)


def serve(path: Path, handler: Handler, refused: list[Exception]) -> PluginServer:
    server = PluginServer(path, handler, clock=boottime, agent_version="9", on_refused=refused.append)
    server.listen()
    return server


async def succeed(request: CniRequest, _descriptors: PassedDescriptors, _caller: Caller) -> Result:
    return Result(0, request.container_id.encode())


def with_server(
    tmp_path: Path, handler: Handler, body: Callable[[PluginServer, Path, list[Exception]], Awaitable[None]]
) -> None:
    async def run() -> None:
        refused: list[Exception] = []
        path = tmp_path / "agent" / "vpc-cni.sock"
        server = serve(path, handler, refused)
        try:
            await body(server, path, refused)
        finally:
            await server.close(1)

    asyncio.run(asyncio.wait_for(run(), timeout=20))


async def ask(path: Path, request: Request) -> Result:
    return await asyncio.to_thread(exchange, path, request)


def test_a_request_is_judged_handled_and_answered(tmp_path: Path) -> None:
    async def body(_server: PluginServer, path: Path, _refused: list[Exception]) -> None:
        result = await ask(path, delete("c7"))
        assert (result.exit_code, result.stdout, result.agent_version) == (0, b"c7", "9")

    with_server(tmp_path, succeed, body)


def test_many_requests_at_once_are_all_answered(tmp_path: Path) -> None:
    async def slow(request: CniRequest, descriptors: PassedDescriptors, caller: Caller) -> Result:
        await asyncio.sleep(0.01)
        return await succeed(request, descriptors, caller)

    async def body(_server: PluginServer, path: Path, _refused: list[Exception]) -> None:
        results = await asyncio.gather(*(ask(path, delete(f"c{number}")) for number in range(60)))
        assert sorted(result.stdout for result in results) == sorted(f"c{n}".encode() for n in range(60))

    with_server(tmp_path, slow, body)


@pytest.mark.parametrize(
    ("request_sent", "code"),
    [
        (Request("DEL", b"[]", container_id="c", ifname="eth0"), 6),
        (Request("FLY", CONFIG), 4),
        (Request("ADD", CONFIG, container_id="c", ifname="eth0"), 4),
        (Request("DEL", CONFIG.replace(b"1.0.0", b"9.9.9"), container_id="c", ifname="eth0"), 1),
        (Request("DEL", CONFIG, container_id="../c", ifname="eth0"), 4),
    ],
)
def test_a_bad_request_gets_the_specification_code_and_never_reaches_the_handler(
    tmp_path: Path, request_sent: Request, code: int
) -> None:
    async def body(_server: PluginServer, path: Path, refused: list[Exception]) -> None:
        result = await ask(path, request_sent)
        error = json.loads(result.stdout)
        assert (result.exit_code, error["code"]) == (1, code)
        assert len(refused) == 1

    async def unreachable(_request: CniRequest, _descriptors: PassedDescriptors, _caller: Caller) -> Result:
        raise AssertionError("reached")

    with_server(tmp_path, unreachable, body)


def test_typed_errors_and_bugs_become_error_objects(tmp_path: Path) -> None:
    async def fail(request: CniRequest, _descriptors: PassedDescriptors, _caller: Caller) -> Result:
        if request.container_id == "bug":
            raise ZeroDivisionError("secret")
        raise CapacityError("subnet-1 is full", shortage=Shortage.SUBNET_FULL, hint="add a subnet")

    async def body(_server: PluginServer, path: Path, _refused: list[Exception]) -> None:
        typed = json.loads((await ask(path, delete("c"))).stdout)
        assert (typed["code"], typed["msg"], typed["details"]) == (11, "subnet-1 is full", "add a subnet")
        bug = json.loads((await ask(path, delete("bug"))).stdout)
        assert bug["code"] == 100
        assert "secret" not in json.dumps(bug)

    with_server(tmp_path, fail, body)


def test_garbage_is_answered_and_the_server_lives(tmp_path: Path) -> None:
    async def body(_server: PluginServer, path: Path, refused: list[Exception]) -> None:
        def send_garbage() -> bytes:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                return client.recv(65536)

        assert b'"code":6' in (await asyncio.to_thread(send_garbage)).replace(b" ", b"")
        assert len(refused) == 1
        assert (await ask(path, delete())).exit_code == 0

    with_server(tmp_path, succeed, body)


def test_a_handler_learns_that_its_plugin_is_gone(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def wait(_request: CniRequest, _descriptors: PassedDescriptors, caller: Caller) -> Result:
        await caller.gone()
        gone.set()
        return Result(0)

    async def body(_server: PluginServer, path: Path, _refused: list[Exception]) -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(encode_request(delete()))
            await asyncio.sleep(0.05)
        await asyncio.wait_for(gone.wait(), 5)

    with_server(tmp_path, wait, body)


def test_a_second_agent_is_refused(tmp_path: Path) -> None:
    async def body(_server: PluginServer, path: Path, _refused: list[Exception]) -> None:
        with pytest.raises(HostError, match="another agent"):
            serve(path, succeed, [])

    with_server(tmp_path, succeed, body)


def test_closing_lets_running_requests_end_and_drops_the_rest(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def hold(request: CniRequest, descriptors: PassedDescriptors, caller: Caller) -> Result:
        if request.container_id == "long":
            await asyncio.Event().wait()
        await release.wait()
        return await succeed(request, descriptors, caller)

    async def run() -> None:
        path = tmp_path / "vpc-cni.sock"
        server = serve(path, hold, [])
        short = asyncio.create_task(ask(path, delete("short")))
        long = asyncio.create_task(asyncio.to_thread(exchange, path, delete("long")))
        while server.in_flight < 2:
            await asyncio.sleep(0.01)
        release.set()
        await server.close(0.3)
        assert (await short).exit_code == 0
        with pytest.raises(HostError):
            await long
        assert not path.exists()

    asyncio.run(asyncio.wait_for(run(), timeout=20))
