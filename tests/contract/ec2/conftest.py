"""A HTTP server on loopback that answers as a test tells it to, misbehaviour included, and keeps what it got."""

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from urllib.parse import parse_qsl

import pytest

from vpc_cni.ec2 import Ec2Access, connect_ec2, connect_metadata
from vpc_cni.ec2.timing import Timing


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


# Answers a request on a connection; returns whether the connection stays open.
Step = Callable[[socket.socket, Received], bool]


def answer(status: int, body: bytes | str = b"", headers: dict[str, str] | None = None) -> Step:
    def act(connection: socket.socket, _request: Received) -> bool:
        payload = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status} Because", f"Content-Length: {len(payload)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
        return True

    return act


def ec2_error(code: str, status: int = 400, message: str = "because") -> Step:
    body = f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
    return answer(status, body)


def raw(data: bytes) -> Step:
    def act(connection: socket.socket, _request: Received) -> bool:
        connection.sendall(data)
        return False

    return act


def hang_up(_connection: socket.socket, _request: Received) -> bool:
    return False


def silence(connection: socket.socket, _request: Received) -> bool:
    """Say nothing until the client gives up."""
    connection.recv(1)
    return False


def trickle(connection: socket.socket, _request: Received) -> bool:
    """Promise a long body and send it in drops, each well within any timeout, until the client gives up."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    connection.settimeout(0.02)
    while True:
        try:
            connection.sendall(b"<")
            if not connection.recv(1):
                return False
        except TimeoutError:
            continue
        except OSError:
            return False


@dataclass
class ScriptedServer:
    """Plays ``steps`` in order, then ``otherwise`` for ever; thread for each connection."""

    otherwise: Step = field(default_factory=lambda: answer(200, "<R/>"))
    steps: list[Step] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # Shutdown and not only close: a thread blocked in accept or recv keeps the descriptor alive.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # the client has reset it
                    connection.shutdown(socket.SHUT_RDWR)

    def wait_until_all_closed(self) -> None:
        with self._lock:
            assert self._changed.wait_for(lambda: not self._open, timeout=5)

    def actions(self) -> list[str]:
        return [request.form.get("Action", request.path) for request in self.received]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
                self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        try:
            while (request := _read_request(reader)) is not None:
                with self._lock:
                    self.received.append(request)
                    step = self.steps.pop(0) if self.steps else self.otherwise
                if not step(connection, request):
                    return
        except OSError:
            return
        finally:
            reader.close()
            with self._lock:
                # Under the lock: whoever sees the set without it may rely on the peer having been told.
                connection.close()
                self._open.discard(connection)
                self._changed.notify_all()


def _read_request(reader) -> Received | None:
    start = reader.readline()
    if not start:
        return None
    method, path, _ = start.decode().split(" ", 2)
    lines = itertools.takewhile(lambda line: line.strip(), iter(reader.readline, b""))
    pairs = (line.decode().split(":", 1) for line in lines)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    return Received(method, path, headers, reader.read(int(headers.get("content-length", "0"))))


@pytest.fixture
def say() -> SimpleNamespace:
    """The steps of a script, as a fixture: test files import nothing from each other."""
    return SimpleNamespace(answer=answer, error=ec2_error, raw=raw, hang_up=hang_up, silence=silence, trickle=trickle)


class Ledger:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.throttles: list[str] = []

    def on_call(self, operation: str, seconds: float, outcome: str) -> None:
        assert seconds >= 0
        self.calls.append((operation, outcome))

    def on_throttle(self, operation: str) -> None:
        self.throttles.append(operation)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    running = ScriptedServer()
    yield running
    running.close()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def impatient() -> Timing:
    """Real clocks, and chance that always chooses the shortest wait: retries come at once."""
    return Timing(chance=lambda: 0.0)


@pytest.fixture
def connect(server, ledger, impatient) -> Callable[..., Ec2Access]:
    """Connect a client to the scripted server with fixed keys; keyword arguments override."""

    def build(environ: dict[str, str] | None = None, **options) -> Ec2Access:
        keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalr", "AWS_SESSION_TOKEN": "tok/en=="}
        full = {"AWS_EC2_ENDPOINT": server.url, **keys} if environ is None else environ
        options = {"http_timeout_seconds": 5.0, "timing": impatient, "observer": ledger, **options}
        metadata = connect_metadata(full, timing=options["timing"], observer=ledger)
        return connect_ec2(full, region="us-west-2", metadata=metadata, **options)

    return build
