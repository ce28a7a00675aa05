"""One HTTP connection with bounds on what comes before a request is whole: bytes, time, and how many there are.

uvicorn bounds none of these: a client that sends headers for ever, or nothing, would keep memory and a descriptor.
Bodies are bounded by the application, which alone knows how long they may be.
"""

import asyncio
from dataclasses import dataclass

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState


@dataclass(frozen=True, slots=True)
class Limits:
    """What a face takes of clients that it does not know yet.

    Attributes:
        head_bytes: of request line and headers; also of what stands around a body, such as trailers.
        head_seconds: in which a head must arrive, from its first byte; from the connection for the first one.
        connections: at once; further ones are closed.
    """

    head_bytes: int = 64 * 1024
    head_seconds: float = 15.0
    connections: int = 2000


class BoundedConnection(HttpToolsProtocol):
    """Closes its connection, without an answer, when the client goes over a limit."""

    def __init__(
        self, config: uvicorn.Config, state: ServerState, loop: asyncio.AbstractEventLoop, limits: Limits
    ) -> None:
        super().__init__(config, state, {}, loop)
        self._limits = limits
        self._head_timer: asyncio.TimerHandle | None = None
        # Bytes since the last that led to something: the end of a head, or a part of a body.
        self._pending_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its base has it
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            transport.close()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._pending_bytes += len(data)
        super().data_received(data)
        if self._pending_bytes > self._limits.head_bytes:
            self.transport.close()
        elif self._head_timer is None and not self._is_answering():
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._pending_bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._pending_bytes = 0
        super().on_body(body)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self._limits.head_seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
