"""The local face: probes and metrics, for the machine and its monitoring, never signed and never secret."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

_PLAIN = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
Answer = tuple[int, str, bytes]


def local_application(
    what_is_dead: Callable[[], str], what_is_not_ready: Callable[[], str], metrics: Callable[[], bytes]
) -> ASGIApp:
    """Serve ``/livez``, ``/readyz`` and ``/metrics``.

    The functions may block. Those of the probes return what is wrong, in words; empty when nothing is.
    """

    def answer(path: str) -> Answer:
        if path == "/metrics":
            return 200, _METRICS, metrics()
        probe = {"/livez": what_is_dead, "/readyz": what_is_not_ready}.get(path)
        if probe is None:
            return 404, _PLAIN, b"not found\n"
        wrong = probe()
        return (503, _PLAIN, f"{wrong}\n".encode()) if wrong else (200, _PLAIN, b"ok\n")

    async def application(scope: Scope, _receive: Receive, send: Send) -> None:
        status, kind, body = await asyncio.to_thread(answer, scope["path"])
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return application
