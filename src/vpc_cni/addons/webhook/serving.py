"""The webhook over HTTPS. One thread for each connection of the API server, which keeps few and reuses them.

Whom the pods of an account act as is read from the API server for each new pod: a role that was changed a moment ago
holds for the next pod, which a cache would not promise.
"""

import contextlib
import json
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from vpc_cni.addons.webhook.injection import Identity, read_identity
from vpc_cni.addons.webhook.registration import PATH
from vpc_cni.addons.webhook.review import FindIdentity, answer_review
from vpc_cni.cluster.client import Cluster
from vpc_cni.cluster.inventory import SERVICE_ACCOUNTS, Reference
from vpc_cni.errors import CallerError

_LOG = logging.getLogger(__name__)
_BODY_MAX = 4 * 1024 * 1024
_LENGTH = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is kept for clients: anybody who reaches the port is one, not the API server alone.

    Attributes:
        connections: at once; further ones are closed.
        first_seconds: from connecting to the first answer, TLS included.
        idle_seconds: from one answer to the next. An API server that says nothing for so long has gone; kept
            connections of a living one are used again sooner.
    """

    connections: int = 128
    first_seconds: float = 10.0
    idle_seconds: float = 120.0


_LIMITS = Limits()


class WebhookServer(ThreadingHTTPServer):
    """Answers reviews until :meth:`shutdown`.

    Args:
        listen: address and port; port 0 takes a free one, see ``server_port``.
        certificate, key: PEM files.

    Raises:
        OSError, ssl.SSLError: it cannot listen there, or the files cannot be used.
    """

    daemon_threads = True

    def __init__(
        self,
        listen: tuple[str, int],
        certificate: Path,
        key: Path,
        find_identity: FindIdentity,
        region: str,
        *,
        limits: Limits = _LIMITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        self.find_identity = find_identity
        self.region = region
        self._limits = limits
        self._clock = clock
        # When each connection is closed unless it gets an answer before.
        self._deadlines: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        super().__init__(listen, _Connection)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.settimeout(self._limits.idle_seconds)
        # The handshake comes with the first read, in the connection's own thread: a silent client holds up nobody.
        return self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            has_room = len(self._deadlines) < self._limits.connections
            if has_room:
                self._deadlines[request] = self._clock() + self._limits.first_seconds
        if has_room:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._deadlines.pop(request, None)

    def answered(self, connection: Any) -> None:
        """Wait for a connection's next request."""
        with self._lock:
            self._deadlines[connection] = self._clock() + self._limits.idle_seconds

    def service_actions(self) -> None:
        """End connections whose time is over; called twice a second."""
        now = self._clock()
        with self._lock:
            late = [each for each, deadline in self._deadlines.items() if deadline <= now]
        for connection in late:
            # Their threads wake up, and clean up. A client that sends a byte now and then would else stay for ever.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 # as its base has it
        _LOG.info("a connection from %s ended", client_address, exc_info=True)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: WebhookServer

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._answer(200, b"ok")
        else:
            self._answer(404, b"not found")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not _LENGTH.fullmatch(length) or int(length) > _BODY_MAX:
            self.close_connection = True
            self._answer(413 if length.isdigit() else 411, b"a review has a length, and is not that long")
            return
        body = self.rfile.read(int(length))
        if self.path.partition("?")[0] != PATH:
            self._answer(404, b"not found")
            return
        try:
            answer = answer_review(body, self.server.find_identity, self.server.region)
        except CallerError as err:
            self._answer(400, str(err).encode())
        else:
            self._answer(200, json.dumps(answer).encode(), "application/json")

    def _answer(self, status: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.answered(self.connection)

    def log_message(self, format: str, *args: Any) -> None:
        _LOG.debug(format, *args)


def account_reader(cluster: Cluster) -> FindIdentity:
    """Return what tells the identity of a cluster's service accounts; it raises KubernetesError."""

    def find_identity(namespace: str, name: str) -> Identity | None:
        account = cluster.get(Reference(SERVICE_ACCOUNTS, name), namespace=namespace)
        return read_identity((account or {}).get("metadata", {}).get("annotations") or {})

    return find_identity
