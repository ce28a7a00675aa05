"""A caller's end of the control socket."""

import socket
from collections.abc import Callable
from pathlib import Path

from vpc_cni.errors import CallerError, HostError
from vpc_cni.lab.control.wire import Request, encode_request, follow


def call(
    path: Path,
    request: Request,
    on_progress: Callable[[str], None] = lambda _text: None,
    timeout_seconds: float = 300.0,
) -> object:
    """Run one operation and return its result.

    Args:
        timeout_seconds: longest silence of the daemon, not of the whole operation.

    Raises:
        CallerError: nobody listens on ``path``, or the request is refused.
        HostError: the daemon went away or stayed silent.
        VpcCniError: what the operation raised.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_seconds)
        try:
            connection.connect(str(path))
        except OSError as err:
            raise CallerError(f"no lab listens on {path}", hint="start one with `vpc-cni lab up`") from err
        try:
            connection.sendall(encode_request(request))
            with connection.makefile("rb") as lines:
                answer = follow(lines, on_progress)
        except OSError as err:
            raise HostError(f"the lab did not answer: {err}", hint="see the daemon's log") from err
    if answer is None:
        raise HostError("the lab ended before it answered", hint="see the daemon's log")
    return answer.get("result")
