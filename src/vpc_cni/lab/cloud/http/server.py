"""Serving the applications on sockets that someone else has opened, inside someone else's event loop.

uvicorn's connection handling is used without its ``Server``: that one owns a process (signals, a ten times a second
tick, sleeps at the end), while here several faces start and stop inside a daemon or a test.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from vpc_cni.lab.cloud.http.protocol import ExposingProtocol

KEEP_ALIVE_SECONDS = 75
GRACE_SECONDS = 1.0
BACKLOG = 1024


@contextlib.asynccontextmanager
async def serving(application: ASGIApp, sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
    """Serve while the context lasts. The sockets must be bound; they are listened on here, and closed at the end.

    Any network namespace will do: a socket stays where it was made. At the end, answers under way get a second.
    """
    config = uvicorn.Config(
        application, ws="none", lifespan="off", log_config=None, access_log=False, timeout_keep_alive=KEEP_ALIVE_SECONDS
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()

    def connect() -> ExposingProtocol:
        return ExposingProtocol(config, state, {}, loop)

    servers = [await loop.create_server(connect, sock=opened, backlog=BACKLOG) for opened in sockets]
    try:
        yield
    finally:
        for server in servers:
            server.close()
        await _finish(state)


async def _finish(state: ServerState) -> None:
    """Let answers under way go out, then close every connection."""
    for connection in list(state.connections):
        connection.shutdown()
    if state.tasks:
        _, late = await asyncio.wait(list(state.tasks), timeout=GRACE_SECONDS)
        for task in late:
            task.cancel()
        # The tasks end on their own; waiting for them keeps the loop's end free of complaints.
        await asyncio.gather(*late, return_exceptions=True)


def listener(host: str, port: int = 0, *, backlog: int = BACKLOG) -> socket.socket:
    """Open a listening TCP socket in the current network namespace; port 0 lets the kernel choose."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((host, port))
    opened.listen(backlog)
    opened.setblocking(False)
    return opened
