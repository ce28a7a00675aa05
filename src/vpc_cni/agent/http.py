"""HTTP faces of the agent: metrics, probes, introspection.

Served by threads of their own, so that a hung event loop is seen by ``/livez`` instead of hiding it. Whatever
needs the agent's state asks the loop for it through :class:`LoopBridge`, with a deadline.
"""

import asyncio
import contextlib
import json
import logging
import os
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, TypeVar

from vpc_cni.errors import ConfigurationError, HostError

_log = logging.getLogger(__name__)
_READ_TIMEOUT_SECONDS = 5.0
_EXCHANGE_SECONDS = 10.0
_CONNECTIONS = 16
_LOOP_TIMEOUT_SECONDS = 2.0
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: str = JSON

    @classmethod
    def of_json(cls, value: object, status: int = 200) -> "Reply":
        return cls(status, json.dumps(value).encode() + b"\n")

    @classmethod
    def of_text(cls, text: str, status: int = 200) -> "Reply":
        return cls(status, text.encode() + b"\n", TEXT)


Route = Callable[[], Reply]


class LoopBridge:
    """Runs a function on the agent's loop and hands its result to another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def call(self, function: Callable[[], T]) -> T:
        """Run ``function`` on the loop.

        Raises:
            HostError: the loop did not get to it within 2 s.
        """

        async def run() -> T:
            return function()

        future = asyncio.run_coroutine_threadsafe(run(), self._loop)
        try:
            return future.result(_LOOP_TIMEOUT_SECONDS)
        except FutureTimeoutError:
            future.cancel()
            raise HostError("the agent's event loop did not answer within 2 s", hint="see /livez") from None


class HttpFace:
    """A small read-only HTTP server on one TCP address or unix socket. GET only."""

    def __init__(self, bind: str, routes: Mapping[str, Route], *, name: str) -> None:
        """Listen on ``bind``: ``host:port``, ``:port``, or ``unix:PATH`` (mode 0600).

        Raises:
            ConfigurationError: ``bind`` is not an address.
            HostError: the address cannot be listened on.
        """
        self._server = _Server(_listen(bind), dict(routes))
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    @property
    def address(self) -> object:
        """What the listening socket is bound to: ``(host, port)`` or a path."""
        return self._server.socket.getsockname()

    def start(self) -> None:
        self._thread.start()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """Stop serving and close the socket."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(timeout=2)
        self._server.server_close()


class _Server(socketserver.ThreadingMixIn, socketserver.BaseServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, listener: socket.socket, routes: dict[str, Route]) -> None:
        super().__init__(listener.getsockname(), _Handler)
        self.socket = listener
        self.routes = routes
        self._places = threading.BoundedSemaphore(_CONNECTIONS)

    def fileno(self) -> int:
        return self.socket.fileno()

    def get_request(self) -> tuple[socket.socket, object]:
        connection, peer = self.socket.accept()
        connection.settimeout(_READ_TIMEOUT_SECONDS)
        return connection, peer

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve on a thread, of which there are few: who comes when all are taken is turned away."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread to be had
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        # A client that sends a byte now and then would keep its place for ever: the whole exchange has a limit.
        limit = threading.Timer(_EXCHANGE_SECONDS, _hang_up, (request,))
        limit.daemon = True
        limit.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            limit.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as socketserver calls it
        """Say nothing of clients that hang up: a probe whose time is over does, and each would leave a traceback."""
        if not isinstance(sys.exc_info()[1], OSError):
            _log.exception("HTTP connection failed")

    def server_close(self) -> None:
        self.socket.close()

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        if isinstance(request, socket.socket):
            request.close()


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "vpc-cni"
    sys_version = ""
    timeout = _READ_TIMEOUT_SECONDS

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        route = self.server.routes.get(path)
        reply = self._run(route) if route else _unknown(path, self.server.routes)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def _run(self, route: Route) -> Reply:
        try:
            return route()
        except HostError as err:
            return Reply.of_text(str(err), 503)
        except Exception:
            _log.exception("HTTP handler failed", extra={"fields": {"path": self.path}})
            return Reply.of_text("internal error: see the agent's log", 500)

    def address_string(self) -> str:
        return str(self.client_address)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: probes come every few seconds."""


def _unknown(path: str, routes: Mapping[str, Route]) -> Reply:
    # The reference answers "/" and every unknown path with the list of commands and status 200.
    if path.startswith("/v1/") or path == "/":
        return Reply.of_json({"AvailableCommands": sorted(routes)})
    return Reply.of_text(f"no such path; there are: {' '.join(sorted(routes))}", 404)


def _listen(bind: str) -> socket.socket:
    try:
        if bind.startswith("unix:"):
            return _listen_unix(Path(bind.removeprefix("unix:")))
        host, separator, port = bind.rpartition(":")
        if not separator or not port.isdigit() or int(port) > 65535:
            raise ConfigurationError(
                f"cannot listen on {bind!r}: not an address", hint="write HOST:PORT, :PORT or unix:PATH"
            )
        return socket.create_server((host, int(port)), backlog=32)
    except OSError as err:
        raise HostError(
            f"cannot listen on {bind}: {err.strerror or err}",
            hint="another agent may still run on this node, or choose another address",
        ) from err


def _listen_unix(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(previous)
    listener.listen(32)
    return listener
