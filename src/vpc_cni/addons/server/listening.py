"""Serving ASGI applications on sockets, with or without TLS, inside an event loop that is not uvicorn's.

uvicorn's connection handling is used without its ``Server``, which owns a process: here two faces start and stop
together with the workers.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from vpc_cni.addons.server.connection import BoundedConnection, Limits
from vpc_cni.addons.server.options import Address
from vpc_cni.errors import ConfigurationError, HostError

_KEEP_ALIVE_SECONDS = 75
_GRACE_SECONDS = 10.0
_BACKLOG = 1024
_TLS_HINT = "name PEM files that this user can read: the certificate with its chain, and its key without a passphrase"
_LIMITS = Limits()


def listen_on(address: Address, option: str) -> socket.socket:
    """Open a listening socket.

    Raises:
        HostError: the port is taken or not allowed.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # With the protocol named, asyncio turns off the delay of small packets on what is accepted here.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Answers leave as head and body, and the second would wait 40 ms for an ACK. Connections inherit it.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.bind((address.host, address.port))
        opened.listen(_BACKLOG)
    except OSError as err:
        opened.close()
        raise HostError(
            f"cannot listen on {address.host}:{address.port}: {err.strerror or err}", hint=f"choose another {option}"
        ) from err
    opened.setblocking(False)
    return opened


def tls_of(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return the TLS of a server; None for plain HTTP.

    Raises:
        ConfigurationError: only one of the two is given, or they cannot be used.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigurationError("--tls-cert and --tls-key go together")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as err:
        raise ConfigurationError(
            f"certificate {certificate} with key {key} cannot be used: {err}", hint=_TLS_HINT
        ) from err
    return context


@contextlib.asynccontextmanager
async def listening(
    application: ASGIApp, opened: socket.socket, tls: ssl.SSLContext | None = None, *, limits: Limits = _LIMITS
) -> AsyncIterator[None]:
    """Serve while the context lasts; at the end, answers under way may still go out for some seconds."""
    config = uvicorn.Config(
        application,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        server_header=False,
        # Nobody's word is taken for who a client is.
        proxy_headers=False,
    )
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: BoundedConnection(config, state, loop, limits),
        sock=opened,
        ssl=tls,
        backlog=_BACKLOG,
        ssl_handshake_timeout=limits.head_seconds if tls else None,
    )
    try:
        yield
    finally:
        server.close()
        await _finish(state)


async def _finish(state: ServerState) -> None:
    for connection in list(state.connections):
        connection.shutdown()
    if state.tasks:
        _, late = await asyncio.wait(list(state.tasks), timeout=_GRACE_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
