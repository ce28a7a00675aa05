"""A way to an API server on which single requests fail: what real ones answer under load, and answers that get lost."""

import contextlib
import enum
import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Fault(enum.Enum):
    """``LOST``: the request is carried out, and nobody hears of it."""

    CONFLICT = 409
    THROTTLED = 429
    INTERNAL = 500
    UNAVAILABLE = 503
    LOST = 0


class FaultyServer:
    """Passes requests on, and counts them; the one of number ``fails_at`` meets a fault. Plain HTTP on loopback."""

    def __init__(self, port: int) -> None:
        self.requests = 0
        self.met = False
        self._fails_at, self._fault = 0, Fault.LOST
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, port))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def fail(self, at: int, fault: Fault) -> None:
        """Let the request of that number from now on fail, or the next one after it that can fail so."""
        with self._lock:
            self.requests, self.met, self._fails_at, self._fault = 0, False, at, fault

    def fault_of_next(self, *, is_write: bool) -> Fault | None:
        with self._lock:
            self.requests += 1
            if self.met or self.requests < self._fails_at or (self._fault is Fault.CONFLICT and not is_write):
                return None
            self.met = True
            return self._fault

    @contextlib.contextmanager
    def running(self) -> Iterator["FaultyServer"]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def _handler(faulty: FaultyServer, port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave apart; together with delayed acknowledgements each answer would take 40 ms.
        disable_nagle_algorithm = True

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = faulty.fault_of_next(is_write=self.command != "GET")
            if fault in (None, Fault.LOST):
                status, answer = _forward(port, self.command, self.path, body, dict(self.headers))
            else:
                status, answer = fault.value, _status(fault)  # type: ignore[union-attr] # it is one
            if fault is Fault.LOST:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = _pass

        def log_message(self, format: str, *args: Any) -> None: ...

    return Handler


def _forward(port: int, verb: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    # On loopback, to a server that the test started itself.
    trust = ssl._create_unverified_context()  # noqa: S323
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=trust)
    with contextlib.closing(connection):
        kept = ("authorization", "content-type", "accept")
        sent = {name: value for name, value in headers.items() if name.lower() in kept}
        connection.request(verb, path, body, sent)
        answer = connection.getresponse()
        return answer.status, answer.read()


def _status(fault: Fault) -> bytes:
    reasons = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": fault.value, "metadata": {}}
    return json.dumps({**status, "reason": reasons[fault.value], "message": "try again"}).encode()
