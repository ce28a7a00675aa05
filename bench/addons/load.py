"""Requests at a steady pace, each at its time whether or not others have been answered. Signed beforehand."""

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

from vpc_cni.errors import HostError

_CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Target:
    """Requests as they go over the wire, and where to."""

    host: str
    port: int
    requests: tuple[bytes, ...]


def sign(url: str, region: str, key: tuple[str, str]) -> bytes:
    """Return a signed GET request as it goes over the wire."""
    request = AWSRequest("GET", url)
    SigV4Auth(Credentials(*key), "eks", region).add_auth(request)
    split = urlsplit(url)
    lines = [f"GET {split.path} HTTP/1.1", f"Host: {split.netloc}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items() if name.lower() != "host"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def measure(target: Target, a_second: float) -> list[float]:
    """Send all requests at a pace; return the seconds from when each was due to its whole answer.

    Raises:
        HostError: one was not answered by 200.
    """
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(_CONNECTIONS):
        free.put_nowait(await asyncio.open_connection(target.host, target.port))
    with _no_collection():
        start = time.perf_counter() + 0.1
        tasks = []
        for number, request in enumerate(target.requests):
            due = start + number / a_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(_one(free, request, due)))
        seconds = await asyncio.gather(*tasks)
    while not free.empty():
        free.get_nowait()[1].close()
    return list(seconds)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the collector of this process out of the samples."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def _one(
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]], request: bytes, due: float
) -> float:
    reader, writer = await free.get()
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = next(line.split(":")[1] for line in head.split("\r\n") if line.lower().startswith("content-length"))
    body = await reader.readexactly(int(length))
    done = time.perf_counter()
    free.put_nowait((reader, writer))
    if " 200 " not in head.split("\r\n")[0]:
        raise HostError(f"DescribeAddon is answered by {head.splitlines()[0]}: {body[:200]!r}")
    return done - due
