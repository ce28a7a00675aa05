"""The webhook over HTTPS. One thread for each connection of the API server, which keeps few and reuses them.

Whom the pods of an account act as is read from the API server for each new pod: a role that was changed a moment ago
holds for the next pod, which a cache would not promise.
"""

import json
import logging
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any

from vpc_cni.addons.webhook.injection import Identity, read_identity
from vpc_cni.addons.webhook.registration import PATH
from vpc_cni.addons.webhook.review import FindIdentity, answer_review
from vpc_cni.cluster.client import Cluster
from vpc_cni.cluster.inventory import SERVICE_ACCOUNTS, Reference
from vpc_cni.errors import CallerError

_LOG = logging.getLogger(__name__)
_BODY_MAX = 4 * 1024 * 1024
# An API server that says nothing for so long has gone; kept connections of a living one are used again sooner.
_IDLE_SECONDS = 120.0


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
        self, listen: tuple[str, int], certificate: Path, key: Path, find_identity: FindIdentity, region: str
    ) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        self.find_identity = find_identity
        self.region = region
        super().__init__(listen, _Connection)

    def get_request(self) -> tuple[socket, Any]:
        connection, address = super().get_request()
        connection.settimeout(_IDLE_SECONDS)
        # The handshake comes with the first read, in the connection's own thread: a silent client holds up nobody.
        return self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

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
        if not length.isdigit() or int(length) > _BODY_MAX:
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

    def log_message(self, format: str, *args: Any) -> None:
        _LOG.debug(format, *args)


def account_reader(cluster: Cluster) -> FindIdentity:
    """Return what tells the identity of a cluster's service accounts; it raises KubernetesError."""

    def find_identity(namespace: str, name: str) -> Identity | None:
        account = cluster.get(Reference(SERVICE_ACCOUNTS, name), namespace=namespace)
        return read_identity((account or {}).get("metadata", {}).get("annotations") or {})

    return find_identity
