"""The daemon's end of the control socket: checks who calls, runs the operation, sends what it says."""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from vpc_cni.errors import CallerError, InternalError, VpcCniError
from vpc_cni.lab.control.wire import MAX_LINE_BYTES, Request, encode_error, encode_line, parse_request

log = logging.getLogger(__name__)

Progress = Callable[[str], None]
Operation = Callable[[Mapping[str, object], Progress], Awaitable[object]]

UCRED = struct.Struct("iII")  # struct ucred of sys/socket.h: pid, uid, gid


class ControlServer:
    """Serves operations by name to root and to the daemon's own user."""

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        self._operations = operations
        self._server: asyncio.Server | None = None

    async def start(self, path: Path) -> None:
        """Listen on ``path``, readable for the owner only from the first moment on."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        previous = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(previous)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_LINE_BYTES)

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def progress(text: str) -> None:
            writer.write(encode_line({"progress": text}))

        try:
            _check_peer(writer)
            answer = encode_line({"result": await self._run(parse_request(await reader.readline()), progress)})
        except VpcCniError as err:
            answer = encode_error(err)
        except Exception as err:  # the process border: one broken request must not end the lab
            log.exception("control request failed")
            answer = encode_error(InternalError(f"{type(err).__name__}: {err}", hint="see the daemon's log"))
        try:
            writer.write(answer)
            await writer.drain()
        except ConnectionError:
            log.info("the caller did not wait for the answer")
        finally:
            writer.close()

    async def _run(self, request: Request, progress: Progress) -> object:
        operation = self._operations.get(request.op)
        if operation is None:
            raise CallerError(f'unknown operation "{request.op}"', hint="use the same release on both sides")
        return await operation(request.args, progress)


def _check_peer(writer: asyncio.StreamWriter) -> None:
    peer = writer.get_extra_info("socket")
    _pid, uid, _gid = UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))
    if uid not in (0, os.geteuid()):
        raise CallerError(f"uid {uid} does not own this lab")
