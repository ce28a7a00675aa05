"""A table of iptables-legacy: read whole, changed as a value, put back whole in one step of the kernel.

The ``iptables-legacy`` program opens a raw socket for this and so needs CAP_NET_RAW. The kernel takes the same socket
options on any IPv4 socket and asks for CAP_NET_ADMIN only, so the agent speaks them itself.
Source: linux/netfilter_ipv4/ip_tables.h, linux/netfilter/x_tables.h.
"""

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from vpc_cni.errors import KernelError
from vpc_cni.netlink.xt_rules import CHAIN_PREFIXES, RETURN, Extension, XtRule, is_of_reference

_GET_INFO, _GET_ENTRIES, _SET_REPLACE = 64, 65, 64
_INFO = struct.Struct("=32sI5I5III")
_ENTRIES_HEADER = struct.Struct("=32sI4x")
_REPLACE_HEADER = struct.Struct("=32sIII5I5IIQ")
_COUNTER_BYTES = 16
_HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
_ENTRY = struct.Struct("=4s4s4s4s16s16s16s16sHBBIHHIQQ")
_OFFSETS = struct.Struct("=HH")
_OFFSETS_AT = 88
_EXTENSION = struct.Struct("=H29sB")
_VERDICT = struct.Struct("=i")
_RETURN_VERDICT = -5
_INVERT_OUT = 0x02
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule as the kernel has it. ``jump`` is the chain that it jumps to, whose offset is found when it is laid."""

    raw: bytes
    jump: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain with its rules; of a built-in one (``hook`` is 0 to 4) the last rule is the policy."""

    name: str
    entries: tuple[Entry, ...]
    hook: int = -1


@dataclass(frozen=True, slots=True)
class LegacyTable:
    """A table as read. ``count`` is the number of entries that the kernel has, the last, nameless one included."""

    name: str
    valid_hooks: int
    chains: tuple[Chain, ...]
    count: int


def without_reference(table: LegacyTable) -> LegacyTable:
    """Return the table without the reference's chains, rules, and jumps to them. Pure."""
    gone = tuple(prefix.decode() for prefix in CHAIN_PREFIXES)
    chains = tuple(
        Chain(
            chain.name, tuple(e for e in chain.entries if not e.jump.startswith(gone) and not _is_theirs(e)), chain.hook
        )
        for chain in table.chains
        if not chain.name.startswith(gone)
    )
    return LegacyTable(table.name, table.valid_hooks, chains, table.count)


def with_rules(table: LegacyTable, rules: Iterable[XtRule]) -> LegacyTable:
    """Return the table with rules at the end of their chains; chains that it lacks are made. Pure."""
    chains = {chain.name: chain for chain in table.chains}
    for rule in rules:
        chain = chains.get(rule.chain, Chain(rule.chain, (_return_entry(),)))
        *body, policy = chain.entries
        chains[rule.chain] = Chain(chain.name, (*body, _entry(rule), policy), chain.hook)
    return LegacyTable(table.name, table.valid_hooks, tuple(chains.values()), table.count)


def _is_theirs(entry: Entry) -> bool:
    return is_of_reference(entry.raw)


# -- entries --


def _entry(rule: XtRule) -> Entry:
    matches = b"".join(_extension(match) for match in rule.matches)
    if rule.target is not None:
        target = _extension(rule.target)
    else:
        target = _extension(Extension("", 0, _VERDICT.pack(_RETURN_VERDICT)))
    network = rule.destination or IPv4Network("0.0.0.0/0")
    in_name, in_mask = _interface(rule.in_interface)
    out_name, out_mask = _interface(rule.not_out_interface)
    at = _ENTRY.size + len(matches)
    addresses = (bytes(4), network.network_address.packed, bytes(4), network.netmask.packed)
    inverted = _INVERT_OUT if rule.not_out_interface else 0
    head = _ENTRY.pack(
        *addresses, in_name, out_name, in_mask, out_mask, 0, 0, inverted, 0, at, at + len(target), 0, 0, 0
    )
    return Entry(head + matches + target, "" if rule.verdict == RETURN else rule.verdict)


def _return_entry() -> Entry:
    return _entry(XtRule("", (), verdict=RETURN))


def _extension(extension: Extension) -> bytes:
    info = extension.info.ljust(-(-len(extension.info) // 8) * 8, b"\0")
    return _EXTENSION.pack(_EXTENSION.size + len(info), extension.name.encode(), extension.revision) + info


def _interface(name: str) -> tuple[bytes, bytes]:
    """Return name and mask: a trailing ``+`` leaves the rest open, else the end of the name counts too."""
    if not name:
        return bytes(16), bytes(16)
    stem = name.removesuffix("+").encode()
    length = len(stem) if name.endswith("+") else len(stem) + 1
    return stem, b"\xff" * length


# -- a table as bytes --


def parse_table(info: bytes, entries: bytes) -> LegacyTable:
    """Read what the kernel gives for a table. Pure."""
    name, valid_hooks, *rest = _INFO.unpack(info)
    hook_entry, underflow, count = rest[:5], rest[5:10], rest[10]
    hooks = {hook_entry[n]: n for n in range(5) if valid_hooks & 1 << n}
    chains: list[tuple[str, int, int, list[tuple[int, bytes]]]] = []
    last = [underflow[n] for n in range(5) if valid_hooks & 1 << n]
    body: list[tuple[int, bytes]] = []
    for at, raw in _split(entries):
        kind, info_bytes = _target_of(raw)
        if kind == "ERROR":
            body = []
            chains.append((info_bytes[:30].partition(b"\0")[0].decode(), -1, at + len(raw), body))
            continue
        if at in hooks:
            body = []
            chains.append((_HOOKS[hooks[at]], hooks[at], at, body))
        body.append((at, raw))
    # The last chain is the nameless end of the table.
    assert last and chains[-1][0] == "ERROR", "a table ends with an ERROR entry"  # noqa: S101, PT018 - the kernel's form
    names = {start: chain for chain, _hook, start, _body in chains}
    return LegacyTable(
        name.partition(b"\0")[0].decode(),
        valid_hooks,
        tuple(
            Chain(chain, tuple(Entry(raw, _jump_of(raw, at, names)) for at, raw in rules), hook)
            for chain, hook, _start, rules in chains[:-1]
        ),
        count,
    )


def _split(entries: bytes) -> Iterable[tuple[int, bytes]]:
    at = 0
    while at < len(entries):
        size = _OFFSETS.unpack_from(entries, at + _OFFSETS_AT)[1]
        yield at, entries[at : at + size]
        at += size


def _target_of(raw: bytes) -> tuple[str, bytes]:
    at = _OFFSETS.unpack_from(raw, _OFFSETS_AT)[0]
    _size, name, _revision = _EXTENSION.unpack_from(raw, at)
    return name.partition(b"\0")[0].decode(), raw[at + _EXTENSION.size :]


def _jump_of(raw: bytes, at: int, names: dict[int, str]) -> str:
    """Return the chain that a rule jumps to; a jump to the next rule is none, it only counts."""
    kind, info = _target_of(raw)
    verdict: int = _VERDICT.unpack_from(info)[0] if kind == "" else -1
    return names.get(verdict, "") if verdict >= 0 and verdict != at + len(raw) else ""


def lay_out(table: LegacyTable) -> tuple[int, Sequence[int], Sequence[int], bytes]:
    """Return number of entries, hook entries, underflows and the bytes of a table. Pure."""
    pieces: list[tuple[Entry, int]] = []
    starts: dict[str, int] = {}
    hook_entry, underflow = [0] * 5, [0] * 5
    at = 0
    for chain in table.chains:
        if chain.hook < 0:
            heading = Entry(_heading(chain.name))
            pieces.append((heading, at))
            at += len(heading.raw)
        starts[chain.name] = at
        for entry in chain.entries:
            pieces.append((entry, at))
            at += len(entry.raw)
        if chain.hook >= 0:
            hook_entry[chain.hook] = starts[chain.name]
            underflow[chain.hook] = at - len(chain.entries[-1].raw)
    pieces.append((Entry(_heading("ERROR")), at))
    return len(pieces), hook_entry, underflow, b"".join(_placed(entry, at, starts) for entry, at in pieces)


def _placed(entry: Entry, at: int, starts: dict[str, int]) -> bytes:
    kind, info = _target_of(entry.raw)
    if kind:
        return entry.raw
    verdict = _VERDICT.unpack_from(info)[0]
    if entry.jump:
        verdict = starts[entry.jump]
    elif verdict >= 0:
        verdict = at + len(entry.raw)
    where = _OFFSETS.unpack_from(entry.raw, _OFFSETS_AT)[0] + _EXTENSION.size
    return entry.raw[:where] + _VERDICT.pack(verdict) + entry.raw[where + _VERDICT.size :]


def _heading(chain: str) -> bytes:
    target = _extension(Extension("ERROR", 0, chain.encode().ljust(30, b"\0")))
    zero = bytes(4), bytes(4), bytes(4), bytes(4), b"", b"", b"", b""
    size = _ENTRY.size
    return _ENTRY.pack(*zero, 0, 0, 0, 0, size, size + len(target), 0, 0, 0) + target


# -- the kernel --


class LegacyTables:
    """The tables of the namespace in which this is made. Close it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._library = ctypes.CDLL(None, use_errno=True)

    def close(self) -> None:
        self._socket.close()

    def read(self, name: str) -> LegacyTable | None:
        """Return a table; None where the kernel has no iptables-legacy or not this table.

        Raises:
            KernelError: it cannot be read.
        """
        info = self._get(_GET_INFO, name.encode(), _INFO.size)
        if info is None:
            return None
        size = _INFO.unpack(info)[-1]
        whole = self._get(_GET_ENTRIES, _ENTRIES_HEADER.pack(name.encode(), size), _ENTRIES_HEADER.size + size)
        if whole is None:
            raise KernelError(f"table {name} of iptables-legacy changes while it is read", errno=errno.EAGAIN)
        return parse_table(info, whole[_ENTRIES_HEADER.size :])

    def write(self, table: LegacyTable) -> None:
        """Put a table in place of the one that was read, in one step. Its packet counters start at zero.

        Raises:
            KernelError: EAGAIN when someone changed its size since; the table is as it was.
        """
        count, hook_entry, underflow, entries = lay_out(table)
        counters = ctypes.create_string_buffer(table.count * _COUNTER_BYTES)
        head = _REPLACE_HEADER.pack(
            table.name.encode(),
            table.valid_hooks,
            count,
            len(entries),
            *hook_entry,
            *underflow,
            table.count,
            ctypes.addressof(counters),
        )
        try:
            self._socket.setsockopt(socket.IPPROTO_IP, _SET_REPLACE, head + entries)
        except OSError as err:
            raise KernelError(
                f"table {table.name} of iptables-legacy cannot be written: {err.strerror}", errno=err.errno or 0
            ) from err

    def _get(self, option: int, request: bytes, size: int) -> bytes | None:
        buffer = ctypes.create_string_buffer(request, size)
        length = ctypes.c_uint32(size)
        status = self._library.getsockopt(
            self._socket.fileno(), socket.IPPROTO_IP, option, buffer, ctypes.byref(length)
        )
        if status == 0:
            return buffer.raw
        number = ctypes.get_errno()
        if number in (errno.ENOPROTOOPT, errno.ENOENT, errno.EAGAIN):
            return None
        raise KernelError(f"iptables-legacy cannot be read: {os.strerror(number)}", errno=number)
