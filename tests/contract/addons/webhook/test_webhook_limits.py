"""What a client of the webhook may keep: places and time, whatever it sends."""

import contextlib
import socket
import ssl
import stat
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vpc_cni.addons.webhook import WebhookServer, make_certificate
from vpc_cni.addons.webhook.serving import Limits
from vpc_cni.cli.addons_webhook import app

_PATIENCE_SECONDS = 20.0
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
Serve = Callable[[Limits], WebhookServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    made = make_certificate(["127.0.0.1"], datetime.now(UTC))
    certificate, key = tmp_path / "webhook.crt", tmp_path / "webhook.key"
    certificate.write_bytes(made.certificate)
    key.write_bytes(made.key)
    with contextlib.ExitStack() as stack:

        def start(limits: Limits) -> WebhookServer:
            server = WebhookServer(("127.0.0.1", 0), certificate, key, lambda *_: None, "", limits=limits)
            stack.callback(server.server_close)
            thread = threading.Thread(target=lambda: server.serve_forever(0.02))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return server

        yield start


@contextlib.contextmanager
def connected(server: WebhookServer) -> Iterator[ssl.SSLSocket]:
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", server.server_port), timeout=_PATIENCE_SECONDS)
    with plain, trust.wrap_socket(plain) as opened:
        yield opened


def is_served(server: WebhookServer) -> bool:
    try:
        with connected(server) as opened:
            opened.sendall(HEALTH)
            return opened.recv(100).startswith(b"HTTP/1.1 200")
    except (ssl.SSLError, ConnectionError):
        return False


def await_served(server: WebhookServer) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_served(server):
        assert time.monotonic() < deadline, "who has gone keeps a place"


def ends(opened: socket.socket) -> bool:
    """Wait for the end of a connection that gives no answer."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        return opened.recv(100) == b""
    return True


def test_connections_beyond_the_limit_are_closed_and_a_place_comes_back(serve: Serve) -> None:
    server = serve(Limits(connections=2, first_seconds=600))
    with connected(server) as first, connected(server) as second:
        for each in (first, second):
            each.sendall(HEALTH)
            assert each.recv(100).startswith(b"HTTP/1.1 200")
        assert not is_served(server)
    await_served(server)


def test_a_client_that_says_nothing_is_ended_before_tls(serve: Serve) -> None:
    server = serve(Limits(first_seconds=0.1))
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=_PATIENCE_SECONDS) as silent:
        assert ends(silent)


@pytest.mark.parametrize("sent", [HEALTH[:9], b"POST /mutate HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"])
def test_a_request_that_does_not_end_is_ended(serve: Serve, sent: bytes) -> None:
    """However often a byte comes: what counts is the answer."""
    server = serve(Limits(first_seconds=1.5))
    with connected(server) as slow:
        slow.sendall(sent)
        assert ends(slow)
    await_served(server)


@pytest.mark.parametrize("length", ["\u00b2", "9" * 5000, "-1", "+1", ""])
def test_lengths_that_are_none(serve: Serve, length: str) -> None:
    server = serve(Limits())
    with connected(server) as opened:
        opened.sendall(f"POST /mutate HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode("latin-1"))
        assert opened.recv(100)[:13] in (b"HTTP/1.1 411 ", b"HTTP/1.1 413 ")


def test_what_prepare_writes_is_for_its_owner_alone_also_over_what_a_kill_left(tmp_path: Path) -> None:
    left = tmp_path / "webhook.key"
    left.write_bytes(b"half a key")
    left.chmod(0o644)
    done = CliRunner().invoke(app, ["prepare", "--host=127.0.0.1", f"--folder={tmp_path}"])
    assert done.exit_code == 0
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert modes == {"webhook.crt": 0o600, "webhook.key": 0o600}
    assert left.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
