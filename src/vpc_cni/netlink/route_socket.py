"""A route netlink socket: batches of changes and dumps.

The kernel handles a request inside the caller's ``send``: when that returns, the answers are queued. So nothing
here ever waits, and a call costs what the kernel's work costs. Requests of one send are handled in order, and a
failed one does not stop those behind it.

Not thread safe: one owner for each socket. The namespace is that in which the socket was opened, whatever thread
uses it later.
"""

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TypeVar

from vpc_cni.errors import CallerError, KernelError
from vpc_cni.netlink import decode, messages, uapi
from vpc_cni.netlink.objects import Address, Link, Neighbour, NetConf, Route, Rule
from vpc_cni.netlink.wire import (
    Answer,
    Message,
    encode_message,
    is_acknowledgement,
    iter_answers,
    parse_done_errno,
    parse_verdict,
    text,
    u32,
)

# One send is split above these, so that it fits the default send buffer and, should each message fail, its error
# answers fit the default receive buffer (about 1 KiB each as the kernel accounts them).
_SEND_BYTES = 64 * 1024
_SEND_MESSAGES = 128
# Dumps arrive in datagrams of at most 32 KiB unless a single message is larger.
_RECEIVE_BYTES = 64 * 1024
_DUMP_ATTEMPTS = 12
_LINK_DUMP_ATTEMPTS = 3
# Answers to so many look-ups fit the default receive buffer (up to 4 KiB each as the kernel accounts them).
_LOOKUPS = 32
_DUMP_RECEIVE_BUFFER = 1024 * 1024

# As plain numbers: arithmetic on the enumeration costs more than the system call's own overhead.
_MSG_DONTWAIT = int(socket.MSG_DONTWAIT)
_MSG_TRUNC = int(socket.MSG_TRUNC)

T = TypeVar("T")


class RouteSocket:
    """Speaks rtnetlink over one socket. Close it, or use it in a ``with`` statement."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sequence = 0
        for option in (uapi.NETLINK_CAP_ACK, uapi.NETLINK_EXT_ACK, uapi.NETLINK_GET_STRICT_CHK):
            with contextlib.suppress(OSError):  # comfort only: better error texts, filtered dumps
                sock.setsockopt(uapi.SOL_NETLINK, option, 1)

    @classmethod
    def open(cls) -> "RouteSocket":
        """Open a socket in the namespace of the calling thread."""
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, uapi.NETLINK_ROUTE)
        sock.bind((0, 0))
        return cls(sock)

    @classmethod
    def from_checked_fd(cls, fd: int) -> "RouteSocket":
        """Use a descriptor that the caller knows to be a route netlink socket; it belongs to the returned object."""
        return cls(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, uapi.NETLINK_ROUTE, fileno=fd))

    @classmethod
    def from_fd(cls, fd: int) -> "RouteSocket":
        """Use a descriptor that another process opened; it belongs to the returned object.

        Raises:
            CallerError: the descriptor is not a route netlink socket; it is closed.
        """
        try:
            sock = socket.socket(fileno=fd)
        except OSError as err:
            with contextlib.suppress(OSError):
                os.close(fd)
            raise CallerError(f"descriptor {fd} is not a socket: {err.strerror}") from err
        if (sock.family, sock.proto) != (socket.AF_NETLINK, uapi.NETLINK_ROUTE):
            sock.close()
            raise CallerError(f"descriptor {fd} is not a route netlink socket (family {sock.family})")
        return cls(sock)

    @property
    def port(self) -> int:
        """The socket's number, which the kernel's events of its changes carry."""
        return int(self._socket.getsockname()[0])

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "RouteSocket":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def execute(self, batch: Sequence[Message]) -> dict[int, int]:
        """Perform requests in order, in as few system calls as possible.

        All are performed even when one fails, since the kernel does not stop; undoing is up to the caller.

        Returns:
            Tolerated failures: position in the batch to errno. Empty when everything was done.

        Raises:
            KernelError: of the first request that failed otherwise.
        """
        failures: dict[int, int] = {}
        for start, end in _split(batch):
            self._execute_chunk(batch, start, end, failures)
        return failures

    def _execute_chunk(self, batch: Sequence[Message], start: int, end: int, failures: dict[int, int]) -> None:
        first, last = self._send_batch(batch[start:end])
        answered = self._receive()
        if is_acknowledgement(answered, last):  # nothing failed, or that would have come before
            return
        problem: KernelError | None = None
        for answer in self._answers(first, last, answered):
            if answer.type != uapi.NLMSG_ERROR:
                continue
            position = start + answer.sequence - first
            verdict = parse_verdict(answer)
            if verdict.errno and verdict.errno in batch[position].tolerate:
                failures[position] = verdict.errno
            elif verdict.errno and problem is None:
                problem = kernel_error(batch[position].label, verdict.errno, verdict.text)
            if answer.sequence == last:
                break
        if problem is not None:
            raise problem

    def _send_batch(self, batch: Sequence[Message]) -> tuple[int, int]:
        """Send requests at once; return their first and last sequence number. Only the last one is acknowledged."""
        first = self._sequence + 1
        self._sequence = last = self._sequence + len(batch)
        flags = uapi.NLM_F_REQUEST
        encoded = [encode_message(message, flags, first + i) for i, message in enumerate(batch[:-1])]
        encoded.append(encode_message(batch[-1], flags | uapi.NLM_F_ACK, last))
        self._send(b"".join(encoded), batch[0].describe)
        return first, last

    def _send(self, data: bytes, describe: Callable[[], str]) -> None:
        try:
            self._socket.sendto(data, (0, 0))
        except OSError as err:
            raise kernel_error(describe(), err.errno or errno.EIO) from err

    def _receive(self) -> bytes:
        """Return one datagram; never waits.

        Raises:
            KernelError: EMSGSIZE for a message above the buffer, ENOBUFS when answers were lost, EAGAIN when
                the kernel owes none.
        """
        try:
            data, _ancillary, flags, _sender = self._socket.recvmsg(_RECEIVE_BYTES, 0, _MSG_DONTWAIT)
        except OSError as err:
            raise kernel_error("read the kernel's answer", err.errno or errno.EIO) from err
        if flags & _MSG_TRUNC:
            raise kernel_error("read the kernel's answer", errno.EMSGSIZE)
        return data

    def _answers(self, first: int, last: int, received: bytes = b"") -> Iterator[Answer]:
        """Yield answers to the given sequence numbers; what belongs to an abandoned request is skipped."""
        while True:
            for answer in iter_answers(received or self._receive()):
                if first <= answer.sequence <= last:
                    yield answer
            received = b""

    def links_by_index(self, ifindexes: Sequence[int]) -> dict[int, Link]:
        """Look up several links; those that do not exist are absent from the result."""
        found: dict[int, Link] = {}
        for start in range(0, len(ifindexes), _LOOKUPS):
            self._look_up_chunk(ifindexes[start : start + _LOOKUPS], found)
        return found

    def _look_up_chunk(self, ifindexes: Sequence[int], found: dict[int, Link]) -> None:
        first, last = self._send_batch([messages.get_link(ifindex=ifindex) for ifindex in ifindexes])
        for answer in self._answers(first, last):
            if answer.type == uapi.RTM_NEWLINK:
                link = decode.parse_link(answer.body)
                found[link.ifindex] = link
                continue
            verdict = parse_verdict(answer)
            if verdict.errno not in {0, errno.ENODEV}:
                raise kernel_error("look up links", verdict.errno, verdict.text)
            if answer.sequence == last:
                return

    def is_alias_of(self, ifindex: int, alias: str) -> bool:
        """Whether there is a link of this index with this alias: ``find_link`` without decoding all else."""
        answer = self._ask_link(messages.get_link(ifindex=ifindex))
        # With its length and terminator: text of another attribute cannot look like that.
        return answer is not None and text(uapi.IFLA_IFALIAS, alias).rstrip(b"\0") + b"\0" in answer

    def look_at_link(self, ifindex: int) -> None:
        """Let the kernel bring what it says of a link up to date, whatever it says."""
        self._ask_link(messages.get_link(ifindex=ifindex))

    def find_link(self, *, ifindex: int = 0, name: str = "") -> Link | None:
        """Return the link with this index or name (alternative names count), None when there is none."""
        answer = self._ask_link(messages.get_link(ifindex=ifindex, name=name))
        return decode.parse_link(answer) if answer is not None else None

    def _ask_link(self, request: Message) -> bytes | None:
        """Return the kernel's description of one link, None when there is no such link."""
        self._sequence += 1
        sequence = self._sequence
        self._send(encode_message(request, uapi.NLM_F_REQUEST, sequence), request.describe)
        for answer in self._answers(sequence, sequence):
            if answer.type == uapi.RTM_NEWLINK:
                return answer.body
            verdict = parse_verdict(answer)
            if verdict.errno == errno.ENODEV:
                return None
            raise kernel_error(request.label, verdict.errno, verdict.text)
        return None

    def list_links(self) -> list[Link]:
        """Return all links of the namespace, by index.

        Where pods come and go all the time, no dump of many links stays undisturbed. Then several disturbed ones are
        merged and each link is looked up once more: every link that was there all the time is in the result, and
        every one in the result was there.
        """
        body = messages.IFINFOMSG.pack(0, 0, 0, 0, 0, 0) + u32(uapi.IFLA_EXT_MASK, uapi.RTEXT_FILTER_SKIP_STATS)
        seen: set[int] = set()
        for _attempt in range(_LINK_DUMP_ATTEMPTS):
            links, interrupted = self._dump_once(uapi.RTM_GETLINK, body, uapi.RTM_NEWLINK, decode.parse_link)
            if not interrupted:
                return links
            seen.update(link.ifindex for link in links)
        return list(self.links_by_index(sorted(seen)).values())

    def list_addresses(self, family: int = socket.AF_INET) -> list[Address]:
        body = messages.IFADDRMSG.pack(family, 0, 0, 0, 0)
        return self.dump(uapi.RTM_GETADDR, body, uapi.RTM_NEWADDR, decode.parse_address)

    def list_routes(self, family: int = socket.AF_INET, *, table: int | None = None) -> list[Route]:
        """Return the routes of one table or of all; empty for a table that does not exist."""
        body = messages.RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        if table is not None:
            body += u32(uapi.RTA_TABLE, table)
        try:
            routes = self.dump(uapi.RTM_GETROUTE, body, uapi.RTM_NEWROUTE, decode.parse_route)
        except KernelError as err:
            if table is not None and err.errno == errno.ENOENT:
                return []
            raise
        return [route for route in routes if table is None or route.table == table]

    def list_rules(self, family: int = socket.AF_INET) -> list[Rule]:
        """Return policy rules in the order in which the kernel applies them; equal copies are all there."""
        body = messages.RULE_HEADER.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        return self.dump(uapi.RTM_GETRULE, body, uapi.RTM_NEWRULE, decode.parse_rule)

    def list_neighbours(self, family: int = socket.AF_INET, *, proxies: bool = False) -> list[Neighbour]:
        body = messages.NDMSG.pack(family, 0, 0, 0, 0, uapi.NTF_PROXY if proxies else 0, 0)
        return self.dump(uapi.RTM_GETNEIGH, body, uapi.RTM_NEWNEIGH, decode.parse_neighbour)

    def list_netconf(self) -> list[NetConf]:
        """Return forwarding and reverse path filter of every link, of "all" and of "default"."""
        body = bytes((socket.AF_INET, 0, 0, 0))
        return self.dump(uapi.RTM_GETNETCONF, body, uapi.RTM_NEWNETCONF, decode.parse_netconf)

    def dump(
        self,
        request: int,
        body: bytes,
        wanted: int,
        parse: Callable[[bytes], T],
        *,
        consistent: bool = True,
    ) -> list[T]:
        """Return all objects of one kind.

        A dump that a change interrupted, or whose answers were lost, is repeated up to a bound.

        Args:
            consistent: False accepts a dump during which something changed: objects that came or went meanwhile
                may be missing. For callers that look at their own, settled objects on a busy node.

        Raises:
            KernelError: EINTR when the state kept changing.
        """
        for _attempt in range(_DUMP_ATTEMPTS):
            found, interrupted = self._dump_once(request, body, wanted, parse)
            if not interrupted or not consistent:
                return found
        raise kernel_error(_dump_label(request), errno.EINTR, "the state kept changing")

    def _dump_once(self, request: int, body: bytes, wanted: int, parse: Callable[[bytes], T]) -> tuple[list[T], bool]:
        """Return the objects, and whether a change disturbed the dump. Lost answers make it start again."""
        for _attempt in range(_DUMP_ATTEMPTS):
            try:
                return self._read_dump(request, body, wanted, parse)
            except KernelError as err:
                # What is left of a broken dump would be taken for answers, and refuse the next dump with EBUSY.
                self._discard_answers()
                if err.errno != errno.ENOBUFS:
                    raise
                self._grow_receive_buffer()
        raise kernel_error(_dump_label(request), errno.ENOBUFS)

    def _read_dump(self, request: int, body: bytes, wanted: int, parse: Callable[[bytes], T]) -> tuple[list[T], bool]:
        self._sequence += 1
        sequence, label = self._sequence, _dump_label(request)
        message = Message(request, uapi.NLM_F_DUMP, body, lambda: label)
        self._send(encode_message(message, uapi.NLM_F_REQUEST, sequence), message.describe)
        found: list[T] = []
        interrupted = False
        for answer in self._answers(sequence, sequence):
            interrupted = interrupted or bool(answer.flags & uapi.NLM_F_DUMP_INTR)
            if answer.type == wanted:
                found.append(parse(answer.body))
            elif answer.type == uapi.NLMSG_DONE:
                problem = parse_done_errno(answer)
                if problem:
                    raise kernel_error(label, problem)
                break
            elif answer.type == uapi.NLMSG_ERROR:
                verdict = parse_verdict(answer)
                raise kernel_error(label, verdict.errno, verdict.text)
        return found, interrupted

    def _discard_answers(self) -> None:
        """Read until nothing is left; a dump in progress ends with that."""
        while True:
            try:
                self._socket.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as err:
                if err.errno != errno.ENOBUFS:
                    raise kernel_error("read the kernel's answer", err.errno or errno.EIO) from err

    def _grow_receive_buffer(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _DUMP_RECEIVE_BUFFER)


# asm-generic/socket.h; needs CAP_NET_ADMIN, not bound by net.core.rmem_max. Python 3.11 does not name it.
SO_RCVBUFFORCE = 33


def _dump_label(request: int) -> str:
    return f"list kernel objects (request {request})"


def _split(batch: Sequence[Message]) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of runs that fit one send."""
    start = size = 0
    for position, message in enumerate(batch):
        length = len(message.body) + 20
        if size and (size + length > _SEND_BYTES or position - start == _SEND_MESSAGES):
            yield start, position
            start, size = position, 0
        size += length
    if start < len(batch):
        yield start, len(batch)


def kernel_error(label: str, number: int, words: str = "") -> KernelError:
    """Return the error of a failed operation; ``words`` are the kernel's own."""
    message = f"{label}: {os.strerror(number)} ({errno.errorcode.get(number, number)})"
    if words:
        message += f": {words}"
    hint = "give the process CAP_NET_ADMIN" if number == errno.EPERM else ""
    return KernelError(message, errno=number, hint=hint)
