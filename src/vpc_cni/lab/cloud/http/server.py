"""Serving the applications on sockets that someone else has opened, inside someone else's event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Sequence

import uvicorn
from starlette.types import ASGIApp

from vpc_cni.lab.cloud.http.protocol import ExposingProtocol

KEEP_ALIVE_SECONDS = 75
_POLL_SECONDS = 0.005


class _QuietServer(uvicorn.Server):
    """Leaves the process's signals to whoever owns the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(application: ASGIApp, sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
    """Serve while the context lasts. The sockets must be bound; they are listened on here, and closed at the end.

    Any network namespace will do: a socket stays where it was made.
    """
    config = uvicorn.Config(
        application,
        http=ExposingProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
        backlog=1024,
    )
    server = _QuietServer(config)
    task = asyncio.create_task(server.serve(sockets=list(sockets)))
    try:
        while not server.started and not task.done():
            await asyncio.sleep(_POLL_SECONDS)
        if task.done():
            task.result()
        yield
    finally:
        server.should_exit = True
        await asyncio.shield(task)


def listener(host: str, port: int = 0, *, backlog: int = 1024) -> socket.socket:
    """Open a listening TCP socket in the current network namespace; port 0 lets the kernel choose."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((host, port))
    opened.listen(backlog)
    opened.setblocking(False)
    return opened
