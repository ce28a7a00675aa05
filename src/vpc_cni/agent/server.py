"""The plugin server: connections in, requests judged, answers out. One request a connection.

Owns the listening socket and the connections; knows nothing of pools. A handler gets the judged request, the
descriptors and a :class:`Caller` to report progress through and to learn whether the plugin is still there.

Theory of operation. Nearly every request has arrived whole when its connection is accepted, and nearly every one can
be answered at once. So a connection is read, handled and answered in one go, within the turn of the loop that
accepted it; a task, at ten times the cost, is made only for what has to wait: the rest of a request, an ADD
without an address, a plugin that does not read its answer.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from vpc_cni.errors import VpcCniError
from vpc_cni.rpc.cni import CniRequest, encode_error, parse_request
from vpc_cni.rpc.descriptors import PassedDescriptors
from vpc_cni.rpc.messages import Progress, Request, Result, encode_progress, encode_result
from vpc_cni.rpc.transport import (
    RequestReader,
    check_peer,
    open_listener,
    receive_rest,
    send_frame,
    send_now,
    wait_peer_gone,
)

_log = logging.getLogger(__name__)
_RECEIVE_SECONDS = 5.0
_SEND_SECONDS = 5.0
_ACCEPT_AT_ONCE = 256
# Then the rest of the agent gets its turn: timers, waiting ADDs, probes.
_SERVE_AT_ONCE = 8
_ACCEPT_PAUSE_SECONDS = 0.1
# The plugin takes silence of 2 s for a dead agent. When this many requests are ahead of one, it is told to wait.
_BUSY_DEPTH = 32


class Caller:
    """The plugin at the other end of a request."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self.deadline = deadline
        """CLOCK_BOOTTIME seconds until which the plugin waits."""

    def progress(self, state: str) -> None:
        """Tell the plugin that its request is known and what it waits for. Never blocks, never fails."""
        with contextlib.suppress(OSError):
            # A progress frame is a few hundred bytes: it fits an empty socket buffer or the plugin is gone.
            self._connection.send(encode_progress(Progress(state)), socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)

    async def gone(self) -> None:
        """Return when the plugin has closed its end."""
        await wait_peer_gone(self._connection)


Waiting = Coroutine[Any, Any, Result]
Handler = Callable[[CniRequest, PassedDescriptors, Caller], Result | Waiting]
"""Answers at once, or returns what to wait for; the descriptors stay open until it has ended."""


class PluginServer:
    """Accepts plugins on a unix socket and runs ``handler`` for each request.

    Args:
        clock: CLOCK_BOOTTIME seconds.
        on_refused: called with the error of a request that never reached the handler.
    """

    def __init__(
        self,
        path: Path,
        handler: Handler,
        *,
        clock: Callable[[], float],
        agent_version: str,
        on_refused: Callable[[Exception], None],
    ) -> None:
        self._path = path
        self._handler = handler
        self._clock = clock
        self._agent_version = agent_version
        self._on_refused = on_refused
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepted: deque[socket.socket] = deque()
        self._listener: socket.socket | None = None

    @property
    def in_flight(self) -> int:
        """Connections that have no answer yet."""
        return len(self._tasks) + len(self._accepted)

    def listen(self) -> None:
        """Open the socket (0600) and accept from now on.

        Raises:
            HostError: another agent listens there, or the path is not usable.
        """
        self._listener = open_listener(self._path)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def close(self, grace_seconds: float) -> None:
        """Stop accepting, let running requests end within the grace, then drop the rest: their plugins try again."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._path.unlink(missing_ok=True)
            self._listener = None
        while self._accepted:  # served in turns that are planned already
            await asyncio.sleep(0)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)

    def _accept(self) -> None:
        """Accept who is there and serve the first of them; the others know that they wait."""
        is_serving = bool(self._accepted)
        for connection in self._accept_waiting():
            self._accepted.append(connection)
            if self.in_flight > _BUSY_DEPTH:
                Caller(connection, 0.0).progress(f"{self.in_flight} requests are being handled")
        if not is_serving:
            self._serve_some()

    def _serve_some(self) -> None:
        for _ in range(min(_SERVE_AT_ONCE, len(self._accepted))):
            self._serve(self._accepted.popleft())
        if self._accepted:
            asyncio.get_running_loop().call_soon(self._serve_some)

    def _accept_waiting(self) -> list[socket.socket]:
        accepted: list[socket.socket] = []
        listener = self._listener
        while listener is not None and len(accepted) < _ACCEPT_AT_ONCE:
            try:
                connection, _ = listener.accept()
            except BlockingIOError:  # nobody left to accept
                break
            except ConnectionAbortedError:
                continue
            except OSError as err:
                self._pause_accepting(err)
                break
            connection.setblocking(False)
            accepted.append(connection)
        return accepted

    def _pause_accepting(self, error: OSError) -> None:
        """Out of descriptors or memory: leave the waiting connections alone for a moment instead of spinning."""
        _log.error("cannot accept plugins: %s; trying again in %.1f s", error, _ACCEPT_PAUSE_SECONDS)
        loop, listener = asyncio.get_running_loop(), self._listener
        if listener is not None:
            loop.remove_reader(listener)
            loop.call_later(_ACCEPT_PAUSE_SECONDS, self._resume_accepting, listener)

    def _resume_accepting(self, listener: socket.socket) -> None:
        if self._listener is listener:
            asyncio.get_running_loop().add_reader(listener, self._accept)

    def _serve(self, connection: socket.socket) -> None:
        """Read, handle and answer a request as far as that needs no waiting; a task does the rest."""
        reader = RequestReader(connection)
        try:
            check_peer(connection, uid=os.geteuid())
            received = reader.read()
        except (VpcCniError, OSError) as err:
            self._refuse(connection, err)
            return
        if received is None:
            self._spawn(self._serve_slowly(connection, reader))
        else:
            self._dispatch(connection, *received)

    async def _serve_slowly(self, connection: socket.socket, reader: RequestReader) -> None:
        try:
            received = await receive_rest(reader, connection, timeout_seconds=_RECEIVE_SECONDS)
        except VpcCniError as err:
            self._refuse(connection, err)
        except BaseException:
            connection.close()
            raise
        else:
            self._dispatch(connection, *received)

    def _refuse(self, connection: socket.socket, error: Exception) -> None:
        self._on_refused(error)
        self._answer(connection, encode_error(b"", error))

    def _dispatch(self, connection: socket.socket, request: Request, descriptors: PassedDescriptors) -> None:
        """Handle a request that has arrived; owns connection and descriptors from here on."""
        caller = Caller(connection, self._clock() + request.deadline_ms / 1000)
        outcome = self._outcome(request, lambda: self._handle(request, descriptors, caller))
        if isinstance(outcome, Result):
            descriptors.close()
            self._answer(connection, outcome)
        else:
            self._spawn(self._finish(connection, request, descriptors, outcome))

    def _handle(self, request: Request, descriptors: PassedDescriptors, caller: Caller) -> Result | Waiting:
        try:
            parsed = parse_request(request)
        except VpcCniError as err:
            self._on_refused(err)
            raise
        for warning in parsed.warnings:
            _log.warning("%s: %s", parsed.command, warning)
        return self._handler(parsed, descriptors, caller)

    async def _finish(
        self, connection: socket.socket, request: Request, descriptors: PassedDescriptors, waiting: Waiting
    ) -> None:
        """Wait for a handler and answer. A connection that is closed without an answer makes its plugin try again."""
        with contextlib.ExitStack() as owned:
            owned.enter_context(connection)
            with descriptors:
                try:
                    result = await waiting
                except Exception as err:
                    result = self._failure(request, err)
            owned.pop_all()
        self._answer(connection, result)

    def _outcome(self, request: Request, handle: Callable[[], Result | Waiting]) -> Result | Waiting:
        try:
            return handle()
        except Exception as err:
            return self._failure(request, err)

    def _failure(self, request: Request, error: Exception) -> Result:
        if not isinstance(error, VpcCniError):
            _log.error("request failed: a bug", exc_info=error, extra={"fields": {"command": request.command}})
        return encode_error(request.config, error)

    def _answer(self, connection: socket.socket, result: Result) -> None:
        """Send the answer and close; a plugin that is gone needs none."""
        frame = encode_result(Result(result.exit_code, result.stdout, self._agent_version))
        try:
            sent = send_now(connection, frame)
        except OSError:
            sent = len(frame)
        if sent == len(frame):
            connection.close()
        else:
            self._spawn(self._send_rest(connection, frame[sent:]))

    @staticmethod
    async def _send_rest(connection: socket.socket, rest: bytes) -> None:
        with connection:
            await send_frame(connection, rest, timeout_seconds=_SEND_SECONDS)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
