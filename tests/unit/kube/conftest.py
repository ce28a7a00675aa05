"""A small API server over real TLS: lists, watches with history, merge patches, Events, and faults on request."""

import datetime
import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from vpc_cni.kube import ClusterAccess, KubeClient, Limits, Timing
from vpc_cni.lab.kubernetes.pki import Authority, KeyPair, Subject

Json = dict[str, Any]
Fault = Callable[["Handler"], None]
TOKEN = "a-token"


class ApiServer(ThreadingHTTPServer):
    """Objects of one cluster by (plural, namespace, name), their history, and faults that wait for a request.

    ``faults`` are taken by the next requests whose verb they are kept for, one each. ``seen`` are (verb, path).
    """

    daemon_threads = True

    def __init__(self, identity: KeyPair, folder: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        pem = folder / "server.pem"
        pem.write_bytes(identity.certificate + identity.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.changed = threading.Condition()
        self.objects: dict[tuple[str, str, str], Json] = {}
        self.history: list[tuple[int, str, str, Json]] = []
        self.version = 100
        self.oldest = 0
        self.faults: dict[str, deque[Fault]] = {"list": deque(), "watch": deque(), "other": deque()}
        self.seen: list[tuple[str, str]] = []
        self.tokens: set[str] = {TOKEN}
        self.watches = 0
        self.closing = False

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what these tests are about."""

    def put(self, plural: str, document: Json, *, namespace: str = "", kind: str = "MODIFIED") -> None:
        with self.changed:
            self.version += 1
            document["metadata"]["resourceVersion"] = str(self.version)
            self.objects[plural, namespace, document["metadata"]["name"]] = document
            self.history.append((self.version, plural, kind, json.loads(json.dumps(document))))
            self.changed.notify_all()

    def drop(self, plural: str, name: str) -> None:
        with self.changed:
            document = self.objects.pop((plural, "", name))
            self.version += 1
            document["metadata"]["resourceVersion"] = str(self.version)
            self.history.append((self.version, plural, "DELETED", document))
            self.changed.notify_all()

    def bookmark(self, plural: str) -> None:
        with self.changed:
            self.version += 1
            self.history.append(
                (self.version, plural, "BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})
            )
            self.changed.notify_all()

    def forget_history(self) -> None:
        """As etcd does every 5 minutes: watches from before now are no longer possible."""
        with self.changed:
            self.oldest = self.version

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that requests bring about."""
        with self.changed:
            assert self.changed.wait_for(holds, 10), "it did not happen"

    def requests(self, verb: str) -> list[str]:
        return [path for seen, path in self.seen if seen == verb]

    def stop(self) -> None:
        with self.changed:
            self.closing = True
            self.changed.notify_all()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    server: ApiServer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    # -- what faults are made of ----------------------------------------------------------------------------------

    def answer(self, status: int, document: Json | bytes, **headers: str) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status: int, reason: str, message: str = "", **headers: str) -> None:
        self.answer(status, {"kind": "Status", "code": status, "reason": reason, "message": message}, **headers)

    def start_stream(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def line(self, kind: str, document: Json) -> None:
        self.chunk(json.dumps({"type": kind, "object": document}).encode() + b"\n")

    def cut(self) -> None:
        self.close_connection = True
        self.connection.close()

    # -- requests -------------------------------------------------------------------------------------------------

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        names = parts.path.split("/")[3:]
        verb = "watch" if "watch" in query else "list" if "fieldSelector" in query else "get"
        if self._met_by_a_fault(verb):
            return
        if verb == "watch":
            self._watch(names[-1], query)
        elif verb == "list":
            self._list(names[-1], query)
        else:
            self._get(names)

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._met_by_a_fault("create"):
            return
        names = self.path.split("/")[3:]
        key = (names[-1], names[1] if names[0] == "namespaces" else "", document["metadata"]["name"])
        if key in self.server.objects:
            self.refuse(409, "AlreadyExists")
            return
        self.server.put(key[0], document, namespace=key[1], kind="ADDED")
        self.answer(201, document)

    def do_PATCH(self) -> None:
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._met_by_a_fault("patch"):
            return
        plural, namespace, name = _key(self.path.split("/")[3:])
        document = self.server.objects.get((plural, namespace, name))
        if document is None:
            self.refuse(404, "NotFound")
            return
        uid = patch.get("metadata", {}).get("uid")
        if uid and uid != document["metadata"].get("uid"):
            cause = {"reason": "FieldValueInvalid", "field": "metadata.uid", "message": "field is immutable"}
            self.answer(422, {"reason": "Invalid", "code": 422, "details": {"causes": [cause]}})
            return
        merged = _merge(document, patch)
        self.server.put(plural, merged, namespace=namespace)
        self.answer(200, merged)

    def _met_by_a_fault(self, verb: str) -> bool:
        server = self.server
        with server.changed:
            server.seen.append((verb, self.path))
            server.changed.notify_all()
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in server.tokens:
            self.refuse(401, "Unauthorized", "Unauthorized")
            return True
        faults = server.faults[verb if verb in server.faults else "other"]
        if not faults:
            return False
        faults.popleft()(self)
        return True

    def _get(self, names: list[str]) -> None:
        document = self.server.objects.get(_key(names))
        if document is None:
            self.refuse(404, "NotFound", f"{names[-1]} not found")
        else:
            self.answer(200, document)

    def _list(self, plural: str, query: dict[str, str]) -> None:
        server = self.server
        with server.changed:
            items = [each for (kind, _, _), each in server.objects.items() if kind == plural and _fits(each, query)]
            version = server.version
        start = int(query.get("continue", "0"))
        end = start + int(query.get("limit", len(items) or 1))
        metadata = {"resourceVersion": str(version)}
        if end < len(items):
            metadata["continue"] = str(end)
        self.answer(200, {"metadata": metadata, "items": items[start:end] or None})

    def _watch(self, plural: str, query: dict[str, str]) -> None:
        server, cursor = self.server, int(query["resourceVersion"])
        if cursor < server.oldest:
            self.refuse(410, "Expired", "too old resource version")
            return
        self.start_stream()
        with server.changed:
            server.watches += 1
            server.changed.notify_all()
        while True:
            with server.changed:
                news = [each for each in server.history if each[0] > cursor]
                if not news and not server.closing:
                    server.changed.wait(5)
                    continue
            for version, kind, event, document in news:
                if kind == plural and (event == "BOOKMARK" or _fits(document, query)):
                    self.line(event, document)
                cursor = version
            if server.closing:
                self.chunk(b"")
                return


def _key(names: list[str]) -> tuple[str, str, str]:
    namespace = ""
    if names[0] == "namespaces" and len(names) > 2:
        namespace, names = names[1], names[2:]
    return names[0], namespace, names[1]


def _fits(document: Json, query: dict[str, str]) -> bool:
    field, _, wanted = query["fieldSelector"].partition("=")
    value: Any = document
    for part in field.split("."):
        value = value.get(part, {})
    return bool(value == wanted)


def _merge(target: Json, patch: Json) -> Json:
    """Source: RFC 7396."""
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = _merge(merged.get(key) or {}, value)
        else:
            merged[key] = value
    return merged


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority(datetime.datetime.now(datetime.UTC))


@pytest.fixture
def server(authority: Authority, tmp_path: Path) -> Iterator[ApiServer]:
    served = ApiServer(authority.issue(Subject("api", addresses=(IPv4Address("127.0.0.1"),))), tmp_path)
    thread = threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield served
    served.stop()
    thread.join(5)


@pytest.fixture
def access(server: ApiServer, authority: Authority) -> ClusterAccess:
    return ClusterAccess(server.url, ca_data=authority.pair.certificate.decode(), token=TOKEN)


@pytest.fixture
def timing() -> Iterator[Timing]:
    made = Timing(chance=lambda: 0.01)
    yield made
    made.stopping.set()


@pytest.fixture
def limits() -> Limits:
    return Limits(connect_seconds=2, answer_seconds=2, silence_seconds=2, answer_bytes=50_000, line_bytes=20_000)


@pytest.fixture
def client(access: ClusterAccess, timing: Timing, limits: Limits) -> Iterator[KubeClient]:
    made = KubeClient(access, timing=timing, limits=limits)
    yield made
    made.close()


@pytest.fixture
def node() -> Callable[..., Json]:
    def make(name: str = "node-1", *, cordoned: bool = False, pods: str = "29") -> Json:
        return {
            "kind": "Node",
            "metadata": {"name": name, "uid": f"uid-{name}", "labels": {"zone": "a"}},
            "spec": {"unschedulable": cordoned} if cordoned else {},
            "status": {"allocatable": {"pods": pods, "cpu": "2"}, "images": [{"names": ["big"] * 50}]},
        }

    return make
