"""Sockets under the frames: the listener, a peer's identity, one request in, frames out.

The thin shell of this package: every decision about bytes is taken in ``frames``, ``messages`` and ``descriptors``.
All sockets are non-blocking; coroutines run on the loop that calls them.
"""

import array
import asyncio
import contextlib
import os
import socket
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from vpc_cni.errors import CallerError, CniCode, HostError
from vpc_cni.rpc.descriptors import PassedDescriptors, close_all
from vpc_cni.rpc.frames import Frame, FrameBuffer, malformed
from vpc_cni.rpc.messages import Request, decode_request

# Two are in use; a later plugin may pass more, which are closed here.
MAX_DESCRIPTORS = 8
SOCKET_PATH_MAX_BYTES = 107
_READ_BYTES = 64 << 10
# As plain numbers: arithmetic on the enumerations costs more than the system call's own overhead.
_MSG_CTRUNC = int(socket.MSG_CTRUNC)
_MSG_CMSG_CLOEXEC = int(socket.MSG_CMSG_CLOEXEC)
_MSG_NOSIGNAL = int(socket.MSG_NOSIGNAL)
_SOL_SOCKET = int(socket.SOL_SOCKET)
_SCM_RIGHTS = int(socket.SCM_RIGHTS)
_ANCILLARY_BYTES = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
# struct ucred of linux/socket.h: pid, uid, gid.
_UCRED = struct.Struct("=iII")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who holds the other end, as the kernel recorded it at connect (client) or listen (server)."""

    pid: int
    uid: int
    gid: int


def get_peer(sock: socket.socket) -> Peer:
    """Read SO_PEERCRED of a connected unix socket."""
    return Peer(*_UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))


def check_peer(sock: socket.socket, *, uid: int) -> Peer:
    """Return the peer when it runs as ``uid``.

    Raises:
        CallerError: another user.
    """
    peer = get_peer(sock)
    if peer.uid != uid:
        raise CallerError(f"process {peer.pid} of uid {peer.uid} may not speak here", hint=f"run it as uid {uid}")
    return peer


def open_listener(path: Path, *, backlog: int = 1024) -> socket.socket:
    """Listen on a unix stream socket that only this user can reach.

    Creates the directory (mode 0700) and the socket (0600). A socket file that nobody listens on is replaced.

    Raises:
        HostError: another process listens there, the path is taken by something else, or the system refuses.
    """
    if len(os.fsencode(path)) > SOCKET_PATH_MAX_BYTES:
        raise HostError(
            f"socket path {path} is longer than {SOCKET_PATH_MAX_BYTES} bytes", hint="choose a shorter directory"
        )
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        _ensure_private_directory(path.parent)
        _remove_stale_socket(path)
        sock.bind(os.fspath(path))
        # Nobody can connect before listen(), so the mode is in place in time.
        path.chmod(0o600)
        sock.listen(backlog)
    except OSError as err:
        sock.close()
        raise HostError(
            f"cannot listen on {path}: {err.strerror}", hint="check owner and mode of its directory"
        ) from err
    except BaseException:
        sock.close()
        raise
    return sock


def _ensure_private_directory(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat()
    if found.st_uid != os.geteuid():
        raise HostError(f"{directory} belongs to uid {found.st_uid}", hint=f"it must belong to uid {os.geteuid()}")
    if stat.S_IMODE(found.st_mode) != 0o700:
        directory.chmod(0o700)


def _remove_stale_socket(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise HostError(f"{path} exists and is not a socket", hint="remove it, or choose another socket path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass  # a full backlog: somebody listens
    raise HostError(f"another agent listens on {path}", hint="only one agent may run on a node; stop the other one")


class RequestReader:
    """Receives the one request of a connection, as much of it as is there at each call.

    The plugin sends its request right behind its connect, so the first :meth:`read` has all of it nearly always.

    Args:
        sock: connected, non-blocking; stays the caller's.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = FrameBuffer()
        self._fds: list[int] = []
        self._started = False

    def read(self) -> tuple[Request, PassedDescriptors] | None:
        """Read what has arrived; never waits.

        Returns:
            The request and its descriptors, now owned by the caller; None while some of it has yet to come.

        Raises:
            CallerError: not a request, cut, wrong descriptors. Whatever arrived is closed.
        """
        try:
            frame = self._read_frame()
            if frame is None:
                return None
            request = decode_request(frame)
        except OSError as err:
            self.close()
            raise CallerError(
                f"connection failed: {err.strerror}", cni_code=CniCode.IO_FAILURE, retryable=True
            ) from err
        except BaseException:
            self.close()
            raise
        fds, self._fds = self._fds, []
        return request, PassedDescriptors(request.descriptors, fds)

    def _read_frame(self) -> Frame | None:
        """Return the frame when it is complete and nothing follows it."""
        while True:
            try:
                data = self._receive()
            except BlockingIOError:
                return None
            if not data:
                raise malformed(f"connection closed after {self._buffer.pending_bytes} bytes")
            frame = self._buffer.feed(data)
            if frame is None:
                continue
            if self._buffer.pending_bytes:
                raise malformed(f"{self._buffer.pending_bytes} bytes follow the request")
            return frame

    def _receive(self) -> bytes:
        if self._started:
            # A plain recv drops descriptors of later bytes: the kernel closes them.
            return self._socket.recv(_READ_BYTES)
        data, ancillary, flags, _ = self._socket.recvmsg(_READ_BYTES, _ANCILLARY_BYTES, _MSG_CMSG_CLOEXEC)
        self._started = True
        self._fds += _passed_fds(ancillary)
        if flags & _MSG_CTRUNC:
            raise malformed(f"more than {MAX_DESCRIPTORS} descriptors, or no room for them in this process")
        return data

    def close(self) -> None:
        """Close what has arrived of an unfinished request. May be repeated."""
        fds, self._fds = self._fds, []
        close_all(fds)


async def receive_request(sock: socket.socket, *, timeout_seconds: float) -> tuple[Request, PassedDescriptors]:
    """Receive the one request of a connection and the descriptors that came with its first byte.

    Args:
        sock: connected, non-blocking.

    Raises:
        CallerError: not a request, cut, too slow, wrong descriptors. Whatever arrived is closed.
    """
    return await receive_rest(RequestReader(sock), sock, timeout_seconds=timeout_seconds)


async def receive_rest(
    reader: RequestReader, sock: socket.socket, *, timeout_seconds: float
) -> tuple[Request, PassedDescriptors]:
    """Wait for what is missing of a request that was begun. Errors as for ``receive_request``."""
    try:
        async with asyncio.timeout(timeout_seconds):
            while True:
                received = reader.read()
                if received is not None:
                    return received
                await _wait_readable(sock)
    except TimeoutError as err:
        raise CallerError(
            f"no complete request within {timeout_seconds} s", cni_code=CniCode.IO_FAILURE, retryable=True
        ) from err
    finally:
        reader.close()


def _passed_fds(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == _SOL_SOCKET and kind == _SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return fds.tolist()


async def _wait_readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(sock, wake)
    try:
        await ready
    finally:
        loop.remove_reader(sock)


async def wait_peer_gone(sock: socket.socket) -> None:
    """Return when the peer has closed its end, or broken the rule of one request a connection.

    Call it after ``receive_request`` to cancel work that nobody waits for any more.
    """
    await _wait_readable(sock)


def send_now(sock: socket.socket, frame: bytes) -> int:
    """Send as much of a frame as fits, without waiting; return how many bytes. Raises OSError: the peer is gone."""
    try:
        return sock.send(frame, _MSG_NOSIGNAL)
    except BlockingIOError:
        return 0


async def send_frame(sock: socket.socket, frame: bytes, *, timeout_seconds: float) -> bool:
    """Send an encoded frame whole. Returns False when the peer is gone or does not read in time."""
    with contextlib.suppress(OSError, TimeoutError):
        sent = send_now(sock, frame)
        if sent < len(frame):
            async with asyncio.timeout(timeout_seconds):
                await asyncio.get_running_loop().sock_sendall(sock, memoryview(frame)[sent:])
        return True
    return False
