"""Send real packets between namespaces and say what came back.

A socket belongs to the namespace in which it was created, so one event loop drives both ends of every flow: no
process is started inside a namespace. Sockets come from an opener that the caller provides.
"""

import asyncio
import errno
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address

from vpc_cni.lab.check.expectations import Expectation, Protocol

# Opens a socket of a family, type and protocol inside a namespace, named as in `Endpoint.namespace`.
SocketOpener = Callable[[str, int, int, int], Awaitable[socket.socket]]

IP_HEADER_BYTES = 20
UDP_HEADER_BYTES = 8
ICMP_HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence: RFC 792
ICMP_ECHO, ICMP_ECHO_REPLY = 8, 0
STREAM_PACKETS = 16
IP_MTU_DISCOVER = 10  # linux/in.h
IP_PMTUDISC_DO = 2
RETRY_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The outcome of one flow: round-trip milliseconds, or what went wrong."""

    protocol: Protocol
    passed: bool
    milliseconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """One probe with its port settled: the target listens on ``port``, the source sends to ``dialled_port``."""

    row: Expectation
    protocol: Protocol
    port: int = 0
    dialled_port: int = 0


class ProbeFailure(Exception):
    """Packets came back, but not as they should; the text says how. Internal to this module."""


async def run_probe(flow: Flow, opener: SocketOpener, timeout_seconds: float) -> ProbeResult:
    """Run one flow. Never raises for a network failure: that is a result."""
    probe = {Protocol.TCP: _probe_tcp, Protocol.UDP: _probe_udp, Protocol.PING: _probe_ping}[flow.protocol]
    started = time.monotonic()
    detail = ""
    try:
        async with asyncio.timeout(timeout_seconds):
            milliseconds = await probe(flow, opener)
    except TimeoutError:
        milliseconds, detail = (time.monotonic() - started) * 1000, "no answer"
    except ProbeFailure as err:
        milliseconds, detail = (time.monotonic() - started) * 1000, str(err)
    except OSError as err:
        name = errno.errorcode.get(err.errno or 0, "error")
        milliseconds, detail = (time.monotonic() - started) * 1000, f"{name}: {err.strerror or err}"
    return ProbeResult(flow.protocol, not detail, milliseconds, detail)


async def _probe_tcp(flow: Flow, opener: SocketOpener) -> float:
    """Connect, send a stream of full packets, read it back behind the address that the server saw."""
    row, loop = flow.row, asyncio.get_running_loop()
    listener = await opener(row.target.namespace, socket.AF_INET, socket.SOCK_STREAM, 0)
    client = await opener(row.source.namespace, socket.AF_INET, socket.SOCK_STREAM, 0)
    with listener, client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(row.target.address), flow.port))
        listener.listen()
        serving = asyncio.create_task(_serve_tcp(listener))
        try:
            client.bind((str(row.source.address), 0))
            started = time.monotonic()
            await loop.sock_connect(client, (str(row.dialled), flow.dialled_port or listener.getsockname()[1]))
            payload = os.urandom(row.size_bytes * STREAM_PACKETS)
            _, answer = await asyncio.gather(
                loop.sock_sendall(client, payload), _read_exactly(client, 4 + len(payload))
            )
            elapsed = (time.monotonic() - started) * 1000
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await serving
    _compare_source(answer[:4], row)
    if answer[4:] != payload:
        raise ProbeFailure("the stream came back changed")
    return elapsed


async def _serve_tcp(listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    connection, peer = await loop.sock_accept(listener)
    with connection:
        await loop.sock_sendall(connection, IPv4Address(peer[0]).packed)
        while data := await loop.sock_recv(connection, 65536):
            await loop.sock_sendall(connection, data)


async def _read_exactly(connection: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    received = bytearray()
    while len(received) < count:
        data = await loop.sock_recv(connection, 65536)
        if not data:
            raise ProbeFailure(f"the connection ended after {len(received)} of {count} bytes")
        received += data
    return bytes(received)


async def _probe_udp(flow: Flow, opener: SocketOpener) -> float:
    """Send datagrams until one comes back; the answer carries the address that the server saw."""
    row, loop = flow.row, asyncio.get_running_loop()
    server = await opener(row.target.namespace, socket.AF_INET, socket.SOCK_DGRAM, 0)
    client = await opener(row.source.namespace, socket.AF_INET, socket.SOCK_DGRAM, 0)
    with server, client:
        client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        server.bind((str(row.target.address), flow.port))
        client.bind((str(row.source.address), 0))
        client.connect((str(row.dialled), flow.dialled_port or server.getsockname()[1]))
        payload = os.urandom(row.size_bytes - IP_HEADER_BYTES - UDP_HEADER_BYTES)
        serving = asyncio.create_task(_serve_udp(server))
        try:
            answer, elapsed = await _exchange(lambda: loop.sock_sendall(client, payload), client)
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await serving
    _compare_source(answer[:4], row)
    if answer[4:] != payload[4:]:
        raise ProbeFailure("the datagram came back changed")
    return elapsed


async def _serve_udp(server: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        data, peer = await loop.sock_recvfrom(server, 65536)
        # As long as the question, so that the way back is tested with the same size.
        await loop.sock_sendto(server, IPv4Address(peer[0]).packed + data[4:], peer)


async def _probe_ping(flow: Flow, opener: SocketOpener) -> float:
    row, loop = flow.row, asyncio.get_running_loop()
    client = await opener(row.source.namespace, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    with client:
        client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        client.bind((str(row.source.address), 0))
        client.connect((str(row.dialled), 0))
        identifier = int.from_bytes(os.urandom(2))
        request = encode_echo(identifier, 1, bytes(row.size_bytes - IP_HEADER_BYTES - ICMP_HEADER.size))
        _, elapsed = await _exchange(
            lambda: loop.sock_sendall(client, request), client, lambda packet: is_echo_reply(packet, identifier)
        )
    return elapsed


async def _exchange(
    send: Callable[[], Awaitable[None]], client: socket.socket, wanted: Callable[[bytes], bool] = lambda _data: True
) -> tuple[bytes, float]:
    """Send until a wanted answer arrives; return it and the milliseconds since the last sending."""
    loop = asyncio.get_running_loop()
    while True:
        started = time.monotonic()
        await send()
        with suppress(TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):
                while True:
                    data = await loop.sock_recv(client, 65536)
                    if wanted(data):
                        return data, (time.monotonic() - started) * 1000


def encode_echo(identifier: int, sequence: int, payload: bytes) -> bytes:
    """Return an ICMP echo request. Source: RFC 792."""
    unsummed = ICMP_HEADER.pack(ICMP_ECHO, 0, 0, identifier, sequence) + payload
    return ICMP_HEADER.pack(ICMP_ECHO, 0, internet_checksum(unsummed), identifier, sequence) + payload


def is_echo_reply(packet: bytes, identifier: int) -> bool:
    """Tell whether an IPv4 packet, header included, is the answer to our echo request."""
    header_bytes = (packet[0] & 0x0F) * 4
    if len(packet) < header_bytes + ICMP_HEADER.size:
        return False
    kind, _code, _sum, found, _sequence = ICMP_HEADER.unpack_from(packet, header_bytes)
    return bool(kind == ICMP_ECHO_REPLY and found == identifier)


def internet_checksum(data: bytes) -> int:
    """Return the ones' complement sum of 16-bit words. Source: RFC 1071."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(word for (word,) in struct.iter_unpack("!H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _compare_source(seen: bytes, row: Expectation) -> None:
    if seen != row.seen_source.packed:
        raise ProbeFailure(f"arrived from {IPv4Address(seen)}, expected {row.seen_source}")
