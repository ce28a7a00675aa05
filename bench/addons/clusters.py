"""Many simulated API servers in one process: as much of Kubernetes as the add-on service asks for.

They answer version, get, list, dry run, apply, patch and delete of whole objects, over TLS, each on a port of its own.
Conflicts are never found, roll-outs are done at once. Others are dead: refused, or nothing ever answers.
"""

import asyncio
import json
import multiprocessing
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Objects = dict[str, dict[str, Any]]
_LISTS = frozenset(
    [
        "customresourcedefinitions",
        "serviceaccounts",
        "configmaps",
        "clusterroles",
        "clusterrolebindings",
        "daemonsets",
        "eniconfigs",
        "pods",
    ]
)


class Simulation:
    """Clusters in a process of their own; ``ports`` of those that live."""

    def __init__(self, count: int, certificate: Path, key: Path) -> None:
        self._sockets = [_listener() for _ in range(count)]
        self.ports = [each.getsockname()[1] for each in self._sockets]
        self._first_writes = multiprocessing.Array("d", count)
        self._writes = multiprocessing.Array("i", count)
        context = multiprocessing.get_context("fork")
        arguments = (self._sockets, certificate, key, self._first_writes, self._writes)
        self._process = context.Process(target=_run, args=arguments, daemon=True)
        self._process.start()

    def forget_writes(self) -> None:
        for index in range(len(self.ports)):
            self._first_writes[index] = 0.0

    def first_write(self, index: int) -> float:
        """Return when a cluster was first written to since that was forgotten, by the machine's monotonic clock."""
        return float(self._first_writes[index])

    def writes(self, index: int) -> int:
        """Return how often an object of a cluster was written, dry runs left out."""
        return int(self._writes[index])

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        for each in self._sockets:
            each.close()


class BlackHole:
    """A port to which nobody gets through: its queue of connections is full, and nobody empties it."""

    def __init__(self) -> None:
        self._listener = _listener(backlog=0)
        self.port: int = self._listener.getsockname()[1]
        self._fillers = [socket.socket() for _ in range(3)]
        for each in self._fillers:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", self.port))

    def close(self) -> None:
        for each in (*self._fillers, self._listener):
            each.close()


def closed_port() -> int:
    """Return a port that refuses."""
    with _listener() as opened:
        port: int = opened.getsockname()[1]
        return port


def _listener(backlog: int = 128) -> socket.socket:
    # With the protocol named, asyncio turns off the delay of small packets on what is accepted here.
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    opened.bind(("127.0.0.1", 0))
    opened.listen(backlog)
    opened.setblocking(False)
    return opened


def _run(sockets: Sequence[socket.socket], certificate: Path, key: Path, *counters: Any) -> None:
    asyncio.run(_serve(sockets, certificate, key, *counters))


async def _serve(sockets: Sequence[socket.socket], certificate: Path, key: Path, *counters: Any) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    for index, opened in enumerate(sockets):
        await asyncio.start_server(_Cluster(index, *counters).converse, sock=opened, ssl=tls)
    await asyncio.Event().wait()


class _Cluster:
    def __init__(self, index: int, first_writes: Any, writes: Any) -> None:
        self._index = index
        self._first_writes = first_writes
        self._writes = writes
        self._objects: Objects = {}
        self._version = 1

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ", 2)
                lengths = [line.split(":")[1] for line in head[1:] if line.lower().startswith("content-length:")]
                body = await reader.readexactly(int(lengths[0]) if lengths else 0)
                status, document = self._answer(method, target, body)
                text = json.dumps(document).encode()
                head_text = (
                    f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
                )
                writer.write(head_text.encode() + text)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            writer.close()

    def _answer(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        url = urlsplit(target)
        if url.path == "/version":
            return 200, {"gitVersion": "v1.29.3"}
        if method == "GET" and url.path.rsplit("/", 1)[1] in _LISTS:
            found = [each for path, each in self._objects.items() if path.rsplit("/", 1)[0] == url.path]
            return 200, {"metadata": {}, "items": found}
        if method in ("PATCH", "PUT"):
            return 200, self._write(url.path, json.loads(body), dry="dryRun" in parse_qs(url.query))
        found_one = self._objects.get(url.path)
        if found_one is None:
            return 404, {"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"}
        if method == "DELETE":
            del self._objects[url.path]
        return 200, found_one

    def _write(self, path: str, wished: Any, *, dry: bool) -> Any:
        live = self._objects.get(path, {})
        if not isinstance(wished, dict):
            return live
        self._version += 1
        metadata = {**wished.get("metadata", {}), "resourceVersion": str(self._version), "uid": "u", "generation": 1}
        fields: dict[str, Any] = {
            "manager": "eks",
            "operation": "Apply",
            "apiVersion": wished.get("apiVersion"),
            "fieldsV1": {},
        }
        made = {**wished, "metadata": {**metadata, "managedFields": [fields]}, "status": _STATUS}
        if not dry:
            self._objects[path] = made
            self._writes[self._index] += 1
            if not self._first_writes[self._index]:
                self._first_writes[self._index] = time.monotonic()
        return made


# Of a DaemonSet that is rolled out and of a definition that is served: nobody minds the other's.
_STATUS = {
    "observedGeneration": 1,
    "desiredNumberScheduled": 1,
    "updatedNumberScheduled": 1,
    "numberAvailable": 1,
    "numberUnavailable": 0,
    "conditions": [{"type": "Established", "status": "True"}],
}
