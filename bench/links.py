"""When a link leaves the kernel: asked by name, or told by the kernel."""

import socket
import threading
import time
from collections.abc import Collection, Iterable
from types import TracebackType

from vpc_cni.errors import HostError
from vpc_cni.netlink import uapi
from vpc_cni.netlink.decode import parse_link
from vpc_cni.netlink.wire import iter_answers

_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; Python 3.11 does not name it
_BUFFER_BYTES = 16 << 20
_POLL_SECONDS = 0.001


def is_present(name: str) -> bool:
    """Tell whether the namespace of the calling thread has a link of this name."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def wait_all_gone(names: Iterable[str], timeout_seconds: float) -> float:
    """Wait until no link of these names is left; return the CLOCK_MONOTONIC second at which that was seen.

    Raises:
        HostError: some are still there.
    """
    left = list(names)
    deadline = time.monotonic() + timeout_seconds
    while True:
        left = [name for name in left if is_present(name)]
        now = time.monotonic()
        if not left:
            return now
        if now > deadline:
            raise HostError(f"{len(left)} links are still there {timeout_seconds:g} s after DEL: {left[0]} and others")
        time.sleep(_POLL_SECONDS)


class LinkWatch:
    """Notes when links disappear from the namespace of the thread that enters the ``with`` statement.

    The kernel announces a link's end after taking it off its tables.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, uapi.NETLINK_ROUTE)
        self._gone: dict[str, float] = {}
        self._thread = threading.Thread(target=self._read, name="link-watch", daemon=True)
        self._closing = threading.Event()

    def __enter__(self) -> "LinkWatch":
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        self._socket.settimeout(0.05)
        self._socket.bind((0, 1 << (uapi.RTNLGRP_LINK - 1)))
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._closing.set()
        self._thread.join()
        self._socket.close()

    def wait_gone(self, names: Collection[str], timeout_seconds: float) -> dict[str, float]:
        """Return for each name the CLOCK_MONOTONIC second at which its link had gone.

        Raises:
            HostError: not all have gone in time.
        """
        deadline = time.monotonic() + timeout_seconds
        while not all(name in self._gone for name in names):
            if time.monotonic() > deadline:
                missing = [name for name in names if name not in self._gone]
                raise HostError(f"{len(missing)} links are still there {timeout_seconds:g} s after DEL: {missing[0]}")
            time.sleep(_POLL_SECONDS)
        return {name: self._gone[name] for name in names}

    def _read(self) -> None:
        while not self._closing.is_set():
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            now = time.monotonic()
            for answer in iter_answers(data):
                if answer.type == uapi.RTM_DELLINK:
                    self._gone[parse_link(answer.body).name] = now
