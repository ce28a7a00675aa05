"""The API as an ASGI application: reads requests within bounds, and answers them in threads.

Reads and writes have threads of their own, so that writers who wait for each other in the database leave readers
alone. More requests than the queue holds are turned away at once: clients try again by themselves.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from vpc_cni.addons.api.dispatching import Dispatcher, Reply, Request, error_before_request
from vpc_cni.addons.api.service import Service
from vpc_cni.addons.errors import ApiError, EntityTooLargeError, RequestTimeoutError, ServiceUnavailableError

_READERS = 8
_WRITERS = 4


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the API takes before it says no.

    Attributes:
        body_seconds: in which a request's body must arrive.
        requests: at once, those that wait included.
    """

    body_bytes: int = 256 * 1024
    body_seconds: float = 20.0
    requests: int = 512


def api_application(service: Service, bounds: Bounds | None = None) -> Starlette:
    """Serve the EKS API. The application's lifespan must be run: its end waits for the requests under way."""
    api = _Api(Dispatcher(service), bounds or Bounds())
    application = Starlette(lifespan=api.lifespan)
    # Not a route: those match decoded paths, and the labels of this API are found before they are decoded.
    application.router.default = api
    return application


class _Disconnected(Exception):
    """The client went away before its request was whole."""


class _Api:
    def __init__(self, dispatcher: Dispatcher, bounds: Bounds) -> None:
        self._dispatcher = dispatcher
        self._bounds = bounds
        self._readers = ThreadPoolExecutor(_READERS, "api-read")
        self._writers = ThreadPoolExecutor(_WRITERS, "api-write")
        self._queued = 0

    @contextlib.asynccontextmanager
    async def lifespan(self, _application: Starlette) -> AsyncIterator[None]:
        yield
        self._readers.shutdown()
        self._writers.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            reply = await self._answer(scope, receive)
        except ApiError as error:
            reply = error_before_request(error)
        except _Disconnected:
            return
        await _send(reply, send, with_body=scope["method"] != "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        if self._queued >= self._bounds.requests:
            raise ServiceUnavailableError("Too many requests at once: try again")
        self._queued += 1
        try:
            request = await self._read(scope, receive)
            pool = self._readers if request.method == "GET" else self._writers
            return await asyncio.get_running_loop().run_in_executor(pool, self._dispatcher.answer, request)
        finally:
            self._queued -= 1

    async def _read(self, scope: Scope, receive: Receive) -> Request:
        headers = _read_headers(scope)
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length[:12]) > self._bounds.body_bytes:
            raise _too_large(self._bounds)
        path = scope["raw_path"].partition(b"?")[0].decode("latin-1")
        body_counts = self._dispatcher.admit(path, headers)
        return Request(
            method=scope["method"],
            path=path,
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=await _read_body(receive, self._bounds) if body_counts else b"",
        )


def _read_headers(scope: Scope) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


async def _read_body(receive: Receive, bounds: Bounds) -> bytes:
    try:
        async with asyncio.timeout(bounds.body_seconds):
            return await _receive_all(receive, bounds)
    except TimeoutError:
        message = f"The request's body did not arrive within {bounds.body_seconds:g} seconds"
        raise RequestTimeoutError(message) from None


async def _receive_all(receive: Receive, bounds: Bounds) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > bounds.body_bytes:
            raise _too_large(bounds)
    return bytes(body)


def _too_large(bounds: Bounds) -> EntityTooLargeError:
    return EntityTooLargeError(f"A request's body has up to {bounds.body_bytes} bytes")


async def _send(reply: Reply, send: Send, *, with_body: bool) -> None:
    pairs = {**reply.headers, "content-length": str(len(reply.body))}
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body if with_body else b""})
