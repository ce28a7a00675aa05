"""The HTTP connection, with its transport within reach of the application.

Two faces need it: a token's answer leaves with its own IP TTL, and a lost answer closes the connection.
"""

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

STATE_KEY = "transport"
# What Linux uses by default for both families (net.ipv4.ip_default_ttl, net.ipv6.conf.*.hop_limit).
DEFAULT_HOPS = 64


class ExposingProtocol(HttpToolsProtocol):
    """Puts the transport into ``scope["state"]``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, STATE_KEY: transport}
        _send_at_once(transport)


def _send_at_once(transport: asyncio.Transport) -> None:
    """Switch Nagle's algorithm off: answers leave as head and body, and the second would wait 40 ms for an ACK.

    asyncio does it only for sockets that were made with an explicit IPPROTO_TCP, which those given to us need not be.
    """
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None and connection.family in {socket.AF_INET, socket.AF_INET6}:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def set_hop_limit(transport: asyncio.Transport, hops: int | None) -> None:
    """Let what is sent from now on live ``hops`` hops; None means the system's default."""
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is None:
        return
    if connection.family == socket.AF_INET6:
        connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops or DEFAULT_HOPS)
    else:
        connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops or DEFAULT_HOPS)


def transport_of(scope: Any) -> asyncio.Transport | None:
    """Return the connection of an ASGI scope; None under another server."""
    transport = scope.get("state", {}).get(STATE_KEY)
    return transport if isinstance(transport, asyncio.Transport) else None
