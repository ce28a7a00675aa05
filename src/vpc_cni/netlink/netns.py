"""Network namespaces for the lab and for tests: create, enter, open sockets in, run programs in.

The agent never imports this: it works through sockets that others opened. A namespace is a property of a thread,
so every function here enters one on a thread of its own that ends afterwards; no thread of the caller ever
changes its namespace, and no pool thread can come back in the wrong one.

What keeps a namespace alive: an open descriptor, a bind mount, a process in it, or any socket opened in it.
"""

import contextlib
import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from vpc_cni.errors import HostError
from vpc_cni.netlink import messages
from vpc_cni.netlink.route_socket import RouteSocket

# linux/sched.h, linux/mount.h
CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MNT_DETACH = 2
_THREAD_NETNS = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


class Netns:
    """A network namespace, held by a descriptor. Close it, or use it in a ``with`` statement."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def create(cls, *, lo_up: bool = False) -> "Netns":
        """Make an anonymous namespace.

        Raises:
            HostError: not permitted (CAP_SYS_ADMIN in the user namespace is needed).
        """
        netns = cls(_on_thread(_unshare_network))
        if lo_up:
            netns.run(_raise_loopback)
        return netns

    @classmethod
    def open(cls, path: str | Path) -> "Netns":
        """Open a namespace by path, for example ``/proc/PID/ns/net`` or a bind mount."""
        try:
            return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as err:
            raise HostError(f"cannot open network namespace {path}: {err.strerror}") from err

    @classmethod
    def current(cls) -> "Netns":
        """Open the namespace of the calling thread."""
        return cls.open(_THREAD_NETNS)

    @property
    def fd(self) -> int:
        """The descriptor, owned by this object."""
        return self._fd

    @property
    def inode(self) -> int:
        """The number by which ``lsns`` and ``/proc/PID/ns/net`` show this namespace."""
        return os.fstat(self._fd).st_ino

    def close(self) -> None:
        """Let go of the namespace. May be repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> "Netns":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def run(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Call a function on a new thread inside the namespace; return its result or raise its error.

        The function should return plain data. A thread that it starts begins in the namespace too.
        """

        def inside() -> T:
            enter_netns(self._fd)
            return function(*args, **kwargs)

        return _on_thread(inside)

    def start_thread(self, function: Callable[..., object], *args: object, name: str = "netns") -> threading.Thread:
        """Start a daemon thread inside the namespace and return it at once, for servers."""

        def inside() -> None:
            enter_netns(self._fd)
            function(*args)

        thread = threading.Thread(target=inside, name=name, daemon=True)
        thread.start()
        return thread

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Open a socket inside; it stays there, whichever thread uses it."""
        return self.run(socket.socket, family, kind, protocol)

    def route_socket(self) -> RouteSocket:
        """Open a route netlink socket inside."""
        return self.run(RouteSocket.open)

    def spawn(self, command: Sequence[str | Path], **popen_arguments: Any) -> "subprocess.Popen[Any]":
        """Start a program inside: ``subprocess.Popen`` with the same arguments.

        A child takes the namespace of the thread that forks it, so nothing has to run between fork and exec.
        ``/sys`` still shows the caller's network unless the program mounts its own.
        """
        return self.run(subprocess.Popen, [str(part) for part in command], **popen_arguments)

    def check_output(self, command: Sequence[str | Path], **arguments: Any) -> Any:
        """Run a program inside to its end and return what it printed, as ``subprocess.check_output``."""
        return self.run(subprocess.check_output, [str(part) for part in command], **arguments)

    def write_sysctls(self, values: Mapping[str, int | str]) -> None:
        """Write kernel parameters of the namespace: ``{"net/ipv4/ip_forward": 1}``, below ``/proc/sys``.

        Slashes, not dots, since link names may hold dots. In order of the mapping.

        Raises:
            HostError: a parameter is missing or refused.
        """
        self.run(_write_sysctls, dict(values))

    def read_sysctl(self, name: str) -> str:
        """Read one kernel parameter of the namespace, without the newline."""
        return self.run(lambda: Path("/proc/sys", name).read_text().strip())

    def bind_to(self, path: Path) -> None:
        """Give the namespace a path: an empty file, with the namespace mounted on it. Undo with ``unbind``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o444)
        _check(
            _libc.mount(f"/proc/self/fd/{self._fd}".encode(), os.fsencode(path), b"none", _MS_BIND, None),
            f"mount a network namespace on {path}",
        )


def unbind(path: Path) -> None:
    """Remove a path made by ``bind_to``. Succeeds when it is gone already."""
    _libc.umount2(os.fsencode(path), _MNT_DETACH)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def enter_netns(target: int | str | Path) -> None:
    """Move the calling thread into a namespace, given by descriptor or path.

    It stays there: call this only on a thread that ends there, or that does nothing else.

    Raises:
        HostError: no such path, not a network namespace, or not permitted.
    """
    if isinstance(target, int):
        _check(_libc.setns(target, CLONE_NEWNET), "enter a network namespace")
        return
    with Netns.open(target) as netns:
        _check(_libc.setns(netns.fd, CLONE_NEWNET), f"enter network namespace {target}")


def _unshare_network() -> int:
    _check(_libc.unshare(CLONE_NEWNET), "create a network namespace")
    return os.open(_THREAD_NETNS, os.O_RDONLY | os.O_CLOEXEC)


def _raise_loopback() -> None:
    with RouteSocket.open() as sock:
        sock.execute([messages.set_link(1, up=True)])


def _write_sysctls(values: Mapping[str, int | str]) -> None:
    for name, value in values.items():
        try:
            Path("/proc/sys", name).write_text(f"{value}\n")
        except OSError as err:
            raise HostError(f"cannot set kernel parameter {name} to {value}: {err.strerror}") from err


def _check(result: int, action: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise HostError(f"cannot {action}: {os.strerror(number)}", hint="root or a user namespace of its own is needed")


def _on_thread(function: Callable[[], T]) -> T:
    """Call a function on a new thread and wait for it."""
    outcome: list[T] = []
    problem: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(function())
        except BaseException as err:  # raised again in the caller
            problem.append(err)

    thread = threading.Thread(target=body, name="netns", daemon=True)
    thread.start()
    thread.join()
    if problem:
        raise problem[0]
    return outcome[0]
