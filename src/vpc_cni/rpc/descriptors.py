"""Ownership of the descriptors that arrive with a request.

A leaked namespace descriptor keeps a dead pod's namespace, and with it the host end of its link, alive. So received
descriptors live in one object that closes all that nobody has taken, on every path.
"""

import fcntl
import os
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from vpc_cni.errors import CallerError, CniCode

NETLINK_SOCKET = "s"
NAMESPACE = "n"

# linux/nsfs.h: NS_GET_NSTYPE = _IO(0xb7, 3); linux/sched.h: CLONE_NEWNET.
_NS_GET_NSTYPE = 0xB703
_CLONE_NEWNET = 0x40000000


def close_all(fds: Sequence[int]) -> None:
    """Close every descriptor; each one exactly once."""
    for fd in fds:
        os.close(fd)


class PassedDescriptors:
    """The descriptors of one request. Use as a context manager: leaving it closes what was not taken.

    Descriptors of kinds that a later plugin may add are closed at once.
    """

    def __init__(self, kinds: str, fds: Sequence[int]) -> None:
        """Take ownership of ``fds``, also when this raises.

        Args:
            kinds: one letter for each descriptor, in order, from the request's DESCRIPTORS field.

        Raises:
            CallerError: letters and descriptors do not match, or one is not what its letter says.
        """
        self._fds: dict[str, int] = {}
        try:
            _check_letters(kinds, len(fds))
            for kind, fd in zip(kinds, fds, strict=True):
                if kind in _CHECKS and not _CHECKS[kind](fd):
                    raise _wrong(f"descriptor {kind!r} is not {_MEANING[kind]}")
        except BaseException:
            close_all(fds)
            raise
        for kind, fd in zip(kinds, fds, strict=True):
            if kind in _CHECKS:
                self._fds[kind] = fd
            else:
                os.close(fd)

    @property
    def netlink_socket(self) -> int | None:
        """A NETLINK_ROUTE socket opened inside the pod's namespace; None when not passed. Still owned here."""
        return self._fds.get(NETLINK_SOCKET)

    @property
    def namespace(self) -> int | None:
        """The pod's network namespace; None when not passed. Still owned here."""
        return self._fds.get(NAMESPACE)

    def take(self, kind: str) -> int | None:
        """Hand a descriptor over to the caller, who closes it from now on; None when not passed."""
        return self._fds.pop(kind, None)

    def close(self) -> None:
        """Close what is left. May be repeated."""
        while self._fds:
            os.close(self._fds.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _wrong(message: str) -> CallerError:
    return CallerError(
        message, hint="only the aws-cni plugin may write to this socket", cni_code=CniCode.DECODING_FAILURE
    )


def _check_letters(kinds: str, count: int) -> None:
    if len(kinds) != count:
        raise _wrong(f"request announces {len(kinds)} descriptors, {count} arrived")
    if len(set(kinds)) != len(kinds):
        raise _wrong(f"descriptor kinds {kinds!r} repeat")


def _is_route_socket(fd: int) -> bool:
    """Tell whether ``fd`` is a NETLINK_ROUTE socket. Python reads family and protocol from the kernel."""
    try:
        sock = socket.socket(fileno=fd)
    except OSError:
        return False
    matches = sock.family == socket.AF_NETLINK and sock.proto == socket.NETLINK_ROUTE
    sock.detach()
    return matches


def _is_network_namespace(fd: int) -> bool:
    try:
        return fcntl.ioctl(fd, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        return False


_CHECKS = {NETLINK_SOCKET: _is_route_socket, NAMESPACE: _is_network_namespace}
_MEANING = {NETLINK_SOCKET: "a NETLINK_ROUTE socket", NAMESPACE: "a network namespace"}
