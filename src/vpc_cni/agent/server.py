"""The plugin server: connections in, requests judged, answers out. One request a connection.

Owns the listening socket and the connections; knows nothing of pools. A handler gets the judged request, the
descriptors and a :class:`Caller` to report progress through and to learn whether the plugin is still there.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from vpc_cni.errors import VpcCniError
from vpc_cni.rpc.cni import CniRequest, encode_error, parse_request
from vpc_cni.rpc.descriptors import PassedDescriptors
from vpc_cni.rpc.messages import Progress, Request, Result, encode_progress, encode_result
from vpc_cni.rpc.transport import check_peer, open_listener, receive_request, send_frame, wait_peer_gone

_log = logging.getLogger(__name__)
_RECEIVE_SECONDS = 5.0
_SEND_SECONDS = 5.0
_ACCEPT_AT_ONCE = 64
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


Handler = Callable[[CniRequest, PassedDescriptors, Caller], Awaitable[Result]]


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
        self._listener: socket.socket | None = None

    @property
    def in_flight(self) -> int:
        """Connections that have no answer yet."""
        return len(self._tasks)

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
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)

    def _accept(self) -> None:
        listener = self._listener
        if listener is None:
            return
        for _ in range(_ACCEPT_AT_ONCE):
            try:
                connection, _ = listener.accept()
            except BlockingIOError:  # nobody left to accept
                return
            except ConnectionAbortedError:
                continue
            except OSError as err:
                self._pause_accepting(err)
                return
            connection.setblocking(False)
            task = asyncio.get_running_loop().create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

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

    async def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                check_peer(connection, uid=os.geteuid())
                request, descriptors = await receive_request(connection, timeout_seconds=_RECEIVE_SECONDS)
            except VpcCniError as err:
                self._on_refused(err)
                await self._answer(connection, encode_error(b"", err))
                return
            with descriptors:
                caller = Caller(connection, self._clock() + request.deadline_ms / 1000)
                if len(self._tasks) > _BUSY_DEPTH:
                    caller.progress(f"{len(self._tasks)} requests are being handled")
                    await asyncio.sleep(0)
                result = await self._handle(request, descriptors, caller)
            await self._answer(connection, result)

    async def _handle(self, request: Request, descriptors: PassedDescriptors, caller: Caller) -> Result:
        try:
            parsed = parse_request(request)
        except VpcCniError as err:
            self._on_refused(err)
            return encode_error(request.config, err)
        for warning in parsed.warnings:
            _log.warning("%s: %s", parsed.command, warning)
        try:
            return await self._handler(parsed, descriptors, caller)
        except VpcCniError as err:
            return encode_error(request.config, err)
        except Exception as err:
            _log.exception("request failed: a bug", extra={"fields": {"command": request.command}})
            return encode_error(request.config, err)

    async def _answer(self, connection: socket.socket, result: Result) -> None:
        stamped = Result(result.exit_code, result.stdout, self._agent_version)
        await send_frame(connection, encode_result(stamped), timeout_seconds=_SEND_SECONDS)
