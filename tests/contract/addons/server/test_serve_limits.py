"""What a client may send and keep before its request is whole."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.types import Receive, Scope, Send

from vpc_cni.addons.server.connection import Limits
from vpc_cni.addons.server.listening import listen_on, listening
from vpc_cni.addons.server.options import Address

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
_PATIENCE_SECONDS = 20.0


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the length of the body."""
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    body = f"{scope['path']} {length}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def serving(limits: Limits) -> AsyncIterator[Callable[[], Awaitable[Streams]]]:
    """Serve; give what connects."""
    opened = listen_on(Address("127.0.0.1", 0), "--listen")
    port, writers = opened.getsockname()[1], []

    async def connect() -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, family=socket.AF_INET)
        writers.append(writer)
        return reader, writer

    async with listening(echo, opened, limits=limits):
        yield connect
        for writer in writers:
            writer.close()


async def is_closed(reader: asyncio.StreamReader) -> bool:
    """Wait for the end of a connection that gives no answer."""
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), _PATIENCE_SECONDS) == b""
    return True


async def talk(streams: Streams, request: bytes) -> bytes:
    """Send a request; return its answer's body."""
    reader, writer = streams
    writer.write(request)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE_SECONDS)
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return await asyncio.wait_for(reader.readexactly(length), _PATIENCE_SECONDS)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(HEAD, id="many headers"),
        pytest.param(HEAD + b"X: ", id="a long header"),
        pytest.param(b"POST /", id="a long target"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", id="trailers"),
    ],
)
def test_what_stands_around_a_body_is_bounded(start: bytes) -> None:
    async def flood() -> None:
        async with serving(Limits(head_bytes=4096, head_seconds=600)) as connect:
            reader, writer = await connect()
            writer.write(start)
            filling = b"x" * 512 if start.endswith((b"X: ", b"/")) else b"X-Y: " + b"z" * 500 + b"\r\n"
            with contextlib.suppress(ConnectionError):
                # More than is read at once: what comes in one piece is in memory already.
                for _ in range(2000):
                    writer.write(filling)
                    await writer.drain()
            assert await is_closed(reader)

    asyncio.run(flood())


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", HEAD, b"\r\n"], ids=["nothing", "a line", "a head", "an empty line"]
)
def test_a_head_must_arrive_in_time(sent: bytes) -> None:
    async def wait() -> None:
        async with serving(Limits(head_seconds=0.05)) as connect:
            reader, writer = await connect()
            writer.write(sent)
            assert await is_closed(reader)

    asyncio.run(wait())


def test_the_head_of_a_later_request_must_arrive_in_time_too() -> None:
    async def wait() -> None:
        async with serving(Limits(head_seconds=1.0)) as connect:
            streams = await connect()
            assert await talk(streams, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n") == b"/a 0"
            streams[1].write(b"\r\n")
            assert await is_closed(streams[0])

    asyncio.run(wait())


def test_connections_beyond_the_limit_are_closed_and_the_others_served() -> None:
    async def crowd() -> None:
        async with serving(Limits(connections=2)) as connect:
            first, second = await connect(), await connect()
            assert await talk(first, b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n") == b"/first 0"
            assert await talk(second, b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n") == b"/second 0"
            third, _ = await connect()
            assert await is_closed(third)
            assert await talk(first, b"GET /again HTTP/1.1\r\nHost: x\r\n\r\n") == b"/again 0"

    asyncio.run(crowd())


def test_large_bodies_and_slow_ones_are_left_to_the_application() -> None:
    async def send() -> None:
        async with serving(Limits(head_bytes=4096, head_seconds=0.5)) as connect:
            streams = await connect()
            streams[1].write(HEAD + b"Content-Length: 100001\r\n\r\n" + b"x" * 100_000)
            await asyncio.sleep(0.7)
            assert await talk(streams, b"x") == b"/ 100001"
            chunks = b"800\r\n" + b"x" * 0x800 + b"\r\n"
            chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks * 20 + b"0\r\n\r\n"
            assert await talk(await connect(), chunked) == b"/ 40960"

    asyncio.run(send())
