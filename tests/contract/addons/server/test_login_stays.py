"""A login goes to its server alone, and as its user alone, whatever the server or a request says."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vpc_cni.addons.clusters import open_vault
from vpc_cni.addons.webhook import make_certificate
from vpc_cni.cluster.client import Cluster, Place, read_server
from vpc_cni.cluster.inventory import AGENT, DAEMON_SETS, Reference
from vpc_cni.cluster.login import Login
from vpc_cni.errors import KubernetesError, KubernetesUnreachableError

WANTED = Reference(DAEMON_SETS, AGENT)


class Server(ThreadingHTTPServer):
    """Sends everybody elsewhere, and remembers who came as whom."""

    elsewhere = ""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        made = make_certificate([name], datetime.now(UTC))
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
def running(folder: Path, name: str = "127.0.0.1") -> Iterator[Server]:
    folder.mkdir()
    with Server(folder, name) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(0.02))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(where: Login | Place) -> None:
    cluster = Cluster(where)
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


def test_a_server_may_prove_itself_by_another_name(tmp_path: Path) -> None:
    """Such as one behind a tunnel, whose certificate names what is at the other end."""
    with running(tmp_path / "a", "api.example.com") as server:
        login = Login(server.url, server.authority, token="a-token", acts_as="eks:addon-manager")
        with pytest.raises(KubernetesUnreachableError):
            ask(login)
        with pytest.raises(KubernetesUnreachableError):
            ask(replace(login, server_name="other.example.com"))
        assert server.seen == []
        named = replace(login, server_name="api.example.com")
        vault = open_vault(tmp_path / "seal.key")
        with pytest.raises(KubernetesError):
            ask(vault.open("prod", vault.seal("prod", named)))
        assert server.seen == [("Bearer a-token", "eks:addon-manager")]


def test_a_kubeconfig_says_by_which_name(tmp_path: Path) -> None:
    with running(tmp_path / "a", "api.example.com") as server:
        told = {"server": server.url, "certificate-authority-data": server.authority}
        with pytest.raises(KubernetesUnreachableError):
            ask(kubeconfig(tmp_path, told))
        place = kubeconfig(tmp_path, {**told, "tls-server-name": "api.example.com"})
        with pytest.raises(KubernetesError):
            ask(place)
        assert server.seen == [("Bearer of-an-operator", None)]
        assert read_server(place).server_name == "api.example.com"


def kubeconfig(folder: Path, cluster: dict[str, str]) -> Place:
    file = folder / "kubeconfig"
    document = {
        "current-context": "tests",
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": {"token": "of-an-operator"}}],
    }
    file.write_text(json.dumps(document))
    return Place(file)
