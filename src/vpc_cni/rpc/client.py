"""One exchange with an agent, as the C plugin does it, without its retries: for tests and tools.

Blocking. ``frame`` arguments let a caller play a plugin of another version or send what no plugin would.
"""

import array
import os
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vpc_cni.errors import CallerError, CniCode, HostError
from vpc_cni.rpc.frames import FrameBuffer
from vpc_cni.rpc.messages import Progress, Request, Result, decode_answer, encode_request


def exchange(
    path: Path,
    request: Request | bytes,
    *,
    fds: Sequence[int] = (),
    timeout_seconds: float = 10.0,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Result:
    """Send one request with its descriptors and wait for the result.

    Args:
        request: a request, or an encoded frame to send as it is.
        fds: stay owned by the caller.

    Raises:
        HostError: nobody listens, the agent closed without a result, or the time is over (retryable).
        CallerError: the answer is not one that this version reads.
    """
    frame = request if isinstance(request, bytes) else encode_request(request)
    deadline = time.monotonic() + timeout_seconds
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.settimeout(timeout_seconds)
            sock.connect(os.fspath(path))
            send_with_fds(sock, frame, fds)
            return _wait_result(sock, deadline, on_progress)
        except OSError as err:
            raise HostError(f"agent at {path} failed: {err}", retryable=True) from err


def send_with_fds(sock: socket.socket, frame: bytes, fds: Sequence[int]) -> None:
    """Send a whole frame, the descriptors with its first byte."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sent = sock.sendmsg([frame], ancillary)
    if sent < len(frame):  # an agent that has answered already may have closed its end
        sock.sendall(frame[sent:])


def _wait_result(sock: socket.socket, deadline: float, on_progress: Callable[[Progress], None]) -> Result:
    buffer = FrameBuffer()
    while True:
        frame = buffer.feed(b"")
        while frame is None:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            data = sock.recv(64 << 10)
            if not data:
                raise HostError("agent closed the connection without a result", retryable=True)
            frame = buffer.feed(data)
        answer = decode_answer(frame)
        if isinstance(answer, Result):
            return answer
        if isinstance(answer, Progress):
            on_progress(answer)
        if time.monotonic() > deadline:
            raise CallerError("no result in time", cni_code=CniCode.TRY_AGAIN_LATER, retryable=True)
