"""A login goes to its server alone, and as its user alone, whatever the server or a request says."""

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vpc_cni.addons.webhook import make_certificate
from vpc_cni.cluster.client import Cluster
from vpc_cni.cluster.inventory import AGENT, DAEMON_SETS, Reference
from vpc_cni.cluster.login import Login
from vpc_cni.errors import KubernetesError, KubernetesUnreachableError

WANTED = Reference(DAEMON_SETS, AGENT)


class Server(ThreadingHTTPServer):
    """Sends everybody elsewhere, and remembers who came as whom."""

    elsewhere = ""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        made = make_certificate(["127.0.0.1"], datetime.now(UTC))
        self.authority = base64.b64encode(made.certificate).decode()
        certificate, key = folder / "server.crt", folder / "server.key"
        certificate.write_bytes(made.certificate)
        key.write_bytes(made.key)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server_port}"
        self.seen: list[tuple[str | None, str | None]] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A handshake that the client broke off is what some tests want."""


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.headers["Authorization"], self.headers["Impersonate-User"]))
        self.send_response(307)
        self.send_header("Location", f"{self.server.elsewhere}{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    folder.mkdir()
    with Server(folder) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(0.02))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(login: Login) -> None:
    cluster = Cluster(login)
    try:
        cluster.get(WANTED)
    finally:
        cluster.close()


def test_a_redirect_is_an_error_and_takes_the_token_nowhere(tmp_path: Path) -> None:
    with running(tmp_path / "a") as first, running(tmp_path / "b") as second:
        first.elsewhere = second.url
        with pytest.raises(KubernetesError):
            ask(Login(first.url, first.authority, token="a-token", acts_as="eks:addon-manager"))
        assert first.seen == [("Bearer a-token", "eks:addon-manager")]
        assert second.seen == []


def test_a_server_that_cannot_prove_itself_gets_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path / "a") as server, running(tmp_path / "b") as other:
        # Neither does a proxy of the environment.
        monkeypatch.setenv("HTTPS_PROXY", other.url)
        with pytest.raises(KubernetesUnreachableError):
            ask(Login(server.url, other.authority, token="a-token", acts_as="eks:addon-manager"))
        assert (server.seen, other.seen) == ([], [])
