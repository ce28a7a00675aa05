"""Sockets that receive what the kernel announces: links, routes, rules, neighbours, settings, nftables."""

import contextlib
import ctypes
import errno
import socket
import struct
from collections.abc import Iterable
from types import TracebackType

from vpc_cni.netlink import uapi
from vpc_cni.netlink.route_socket import SO_RCVBUFFORCE, kernel_error

# linux/filter.h, asm-generic/socket.h
_SO_ATTACH_FILTER = 26
_BPF_LOAD_WORD = 0x20
_BPF_JUMP_IF_EQUAL = 0x15
_BPF_RETURN = 0x06
_BPF_STEP = struct.Struct("=HBBI")
_BPF_PROGRAM = struct.Struct("HL")
_NLMSG_PID_OFFSET = 12

ROUTE_GROUPS = (
    uapi.RTNLGRP_LINK,
    uapi.RTNLGRP_NEIGH,
    uapi.RTNLGRP_IPV4_ROUTE,
    uapi.RTNLGRP_IPV4_RULE,
    uapi.RTNLGRP_IPV4_NETCONF,
)
# About 1,500 link events; a reader that is late for longer gets ENOBUFS and looks at everything anew.
_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
_DATAGRAM_BYTES = 64 * 1024
# One turn of a reader handles at most this many, so that a storm does not hold up its thread.
_TURN = 2048


class EventSocket:
    """A netlink socket that only listens. For ``select``, asyncio's ``add_reader`` and the like."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    @classmethod
    def open(cls, groups: Iterable[int] = ROUTE_GROUPS, *, protocol: int = uapi.NETLINK_ROUTE) -> "EventSocket":
        """Listen to multicast groups in the namespace of the calling thread.

        Raises:
            KernelError: not permitted, or no such group.
        """
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        try:
            with contextlib.suppress(OSError):  # without CAP_NET_ADMIN the default buffer has to do
                sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
            sock.bind((0, 0))
            for group in groups:
                sock.setsockopt(uapi.SOL_NETLINK, uapi.NETLINK_ADD_MEMBERSHIP, group)
        except OSError as err:
            sock.close()
            raise kernel_error("listen to kernel events", err.errno or errno.EIO) from err
        return cls(sock)

    def ignore_own(self, port: int) -> None:
        """Let the kernel leave out events of changes that the netlink socket with this port number asked for.

        Source: linux/filter.h (classic BPF; loads are in network byte order), linux/netlink.h (nlmsg_pid).
        """
        steps = (
            (_BPF_LOAD_WORD, 0, 0, _NLMSG_PID_OFFSET),
            (_BPF_JUMP_IF_EQUAL, 0, 1, socket.htonl(port)),
            (_BPF_RETURN, 0, 0, 0),
            (_BPF_RETURN, 0, 0, 0xFFFFFFFF),
        )
        program = ctypes.create_string_buffer(b"".join(_BPF_STEP.pack(*step) for step in steps))
        self._socket.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, _BPF_PROGRAM.pack(len(steps), ctypes.addressof(program))
        )

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "EventSocket":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def drain(self) -> tuple[list[bytes], bool]:
        """Take the datagrams that are there; never waits.

        Returns:
            The datagrams in order, and whether some were lost: then the receiver must look at everything.
        """
        datagrams: list[bytes] = []
        lost = False
        while len(datagrams) < _TURN:
            try:
                datagrams.append(self._socket.recv(_DATAGRAM_BYTES, socket.MSG_DONTWAIT))
            except BlockingIOError:
                break
            except OSError as err:
                if err.errno != errno.ENOBUFS:
                    raise kernel_error("read kernel events", err.errno or errno.EIO) from err
                lost = True
        return datagrams, lost
