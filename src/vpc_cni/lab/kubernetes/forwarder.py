"""A port of 127.0.0.1 on this machine that leads into a namespace of the lab: how people reach the API server."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import IPv4Address

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 65536

# Opens a TCP socket inside the namespace.
Opener = Callable[[], Awaitable[socket.socket]]


class Forwarder:
    """Carries connections to one address inside a namespace.

    Args:
        opener: returns a non-blocking socket that belongs to the namespace.
    """

    def __init__(self, opener: Opener, address: IPv4Address, port: int) -> None:
        self._opener = opener
        self._target = (str(address), port)
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listen on a port that the kernel chooses; return it."""
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def stop(self) -> None:
        """Stop listening and drop all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._running:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._carry(reader, writer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner = await self._opener()
        try:
            await asyncio.get_running_loop().sock_connect(inner, self._target)
            far_reader, far_writer = await asyncio.open_connection(sock=inner)
        except OSError:
            inner.close()  # nobody listens: the caller sees its connection end
            writer.close()
            return
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            far_writer.close()
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction to its end; then the other side hears of that end, and may go on speaking."""
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
