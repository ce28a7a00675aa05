"""The port that leads to the API server: bytes, ends of streams, a server that is away. Real sockets on loopback."""

import asyncio
import socket
from ipaddress import IPv4Address

from vpc_cni.lab.kubernetes.forwarder import LOOPBACK, Forwarder


async def open_here() -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    opened.setblocking(False)
    return opened


async def answer_after_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read everything first, as a server does whose client says where its request ends by closing its half."""
    data = await reader.read()
    writer.write(data[::-1])
    writer.close()


async def ask(port: int, question: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(question)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def test_both_directions_are_carried_to_their_ends() -> None:
    async def run() -> list[bytes]:
        server = await asyncio.start_server(answer_after_the_end, LOOPBACK, 0)
        forwarder = Forwarder(open_here, IPv4Address(LOOPBACK), server.sockets[0].getsockname()[1])
        port = await forwarder.start()
        answers = await asyncio.gather(ask(port, b"question"), ask(port, b"x" * 1_000_000 + b"y"))
        forwarder.stop()
        server.close()
        return list(answers)

    assert asyncio.run(run()) == [b"noitseuq", b"y" + b"x" * 1_000_000]


def test_a_server_that_is_away_ends_the_connection() -> None:
    async def run() -> bytes:
        with socket.create_server((LOOPBACK, 0)) as taken:
            port = taken.getsockname()[1]
        forwarder = Forwarder(open_here, IPv4Address(LOOPBACK), port)
        try:
            return await asyncio.wait_for(ask(await forwarder.start(), b"question"), 5)
        finally:
            forwarder.stop()

    assert asyncio.run(run()) == b""
