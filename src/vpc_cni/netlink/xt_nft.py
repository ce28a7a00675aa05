"""The reference's rules as ``iptables-nft`` keeps them: nftables rules that hold matches and targets of iptables.

libnftables can remove such rules but not make them, so rules are listed and made in netlink's own words; chains and
removals go through libnftables, each table in one transaction.
Source: linux/netfilter/nf_tables.h, linux/netfilter/nf_tables_compat.h.
"""

import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vpc_cni.errors import KernelError
from vpc_cni.netlink.nftables import Nftables
from vpc_cni.netlink.xt_rules import CHAIN_PREFIXES, MANGLE, NAT, RETURN, Extension, XtRule, is_of_reference

# How iptables-nft declares the built-in chains that the rules need.
_BASE_CHAINS = {
    (NAT, "PREROUTING"): "type nat hook prerouting priority -100",
    (NAT, "POSTROUTING"): "type nat hook postrouting priority 100",
    (MANGLE, "PREROUTING"): "type filter hook prerouting priority -150",
}
# The table in which later versions of the reference mark connections.
_LATER_TABLE = "aws-cni"

_NETLINK_NETFILTER = 12
_SUBSYSTEM = 10 << 8
_NEW_RULE, _GET_RULE, _GET_TABLE, _GET_CHAIN = (_SUBSYSTEM | n for n in (6, 7, 1, 4))
_BATCH_BEGIN, _BATCH_END = 16, 17
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _DUMP, _CREATE_APPEND = 1, 4, 0x300, 0xC00
_NESTED = 1 << 15
_HEADER, _GENERIC = struct.Struct("=IHHII"), struct.Struct("=BB2s")
_ATTRIBUTE = struct.Struct("=HH")
_RECEIVE_BYTES = 1 << 18

_RULE_TABLE, _RULE_CHAIN, _RULE_HANDLE, _RULE_EXPRESSIONS = 1, 2, 3, 4
_CHAIN_TABLE, _CHAIN_NAME = 1, 3
_REGISTER, _IIFNAME, _OIFNAME = 1, 6, 7
_EQUAL, _NOT_EQUAL = 0, 1
_NETWORK_HEADER, _DESTINATION_OFFSET, _ADDRESS_BYTES = 1, 16, 4
_JUMP, _RETURN = -3, -5


@dataclass(frozen=True, slots=True)
class ListedRule:
    """A rule of the kernel: where it is, and its expressions as bytes."""

    table: str
    chain: str
    handle: int
    raw: bytes


class NftCompat:
    """The tables of iptables-nft in the namespace in which this is made. Close it."""

    def __init__(self, nftables: Nftables) -> None:
        self._nftables = nftables
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))

    def close(self) -> None:
        self._socket.close()

    def has_reference(self) -> bool:
        """Whether there is anything of the reference."""
        return bool(self._removal())

    def remove_reference(self) -> bool:
        """Remove the reference's rules and chains, and its own table; return whether there were any.

        Raises:
            KernelError: the tables are as they were.
        """
        commands = self._removal()
        if commands:
            self._nftables.run("\n".join(commands) + "\n")
        return bool(commands)

    def _removal(self) -> list[str]:
        """Return the commands that remove all of the reference."""
        theirs = [rule for rule in self._list_rules() if rule.table in (NAT, MANGLE) and is_of_reference(rule.raw)]
        chains = [
            (table, name)
            for table, name in self._list_chains()
            if table in (NAT, MANGLE) and name.encode().startswith(CHAIN_PREFIXES)
        ]
        return [
            *(f"delete rule ip {rule.table} {rule.chain} handle {rule.handle}" for rule in theirs),
            *(f"flush chain ip {table} {name}" for table, name in chains),
            *(f"delete chain ip {table} {name}" for table, name in chains),
            *(f"delete table ip {name}" for name in self._list_tables() if name == _LATER_TABLE),
        ]

    def restore(self, rules: Mapping[str, Sequence[XtRule]]) -> None:
        """Make rules, by table, at the end of their chains, in one transaction; chains that are missing first.

        Raises:
            KernelError: no rule was made.
        """
        wanted = [(table, rule) for table, several in rules.items() for rule in several]
        commands = [f"add table ip {table}" for table in rules if rules[table]]
        for table, chain in dict.fromkeys((table, rule.chain) for table, rule in wanted):
            base = _BASE_CHAINS.get((table, chain))
            commands.append(f"add chain ip {table} {chain}" + (f" {{ {base}; policy accept; }}" if base else ""))
        if not wanted:
            return
        self._nftables.run("\n".join(commands) + "\n")
        body = [_message(_NEW_RULE, encode_rule(table, rule), _ACK | _CREATE_APPEND) for table, rule in wanted]
        self._socket.send(b"".join((_batch_mark(_BATCH_BEGIN), *body, _batch_mark(_BATCH_END))))
        for _each in wanted:
            self._check(self._socket.recv(_RECEIVE_BYTES))

    def _check(self, answer: bytes) -> None:
        for kind, payload in _iter_messages(answer):
            number = -struct.unpack_from("=i", payload)[0] if kind == _ERROR else 0
            if number:
                raise KernelError(f"nftables refused a rule of iptables: {os.strerror(number)}", errno=number)

    def _list_rules(self) -> list[ListedRule]:
        return [
            ListedRule(
                _text(found[_RULE_TABLE]),
                _text(found[_RULE_CHAIN]),
                int.from_bytes(found[_RULE_HANDLE], "big"),
                found.get(_RULE_EXPRESSIONS, b""),
            )
            for found in self._dump(_GET_RULE)
        ]

    def _list_chains(self) -> list[tuple[str, str]]:
        return [(_text(found[_CHAIN_TABLE]), _text(found[_CHAIN_NAME])) for found in self._dump(_GET_CHAIN)]

    def _list_tables(self) -> list[str]:
        return [_text(found[1]) for found in self._dump(_GET_TABLE)]

    def _dump(self, kind: int) -> list[dict[int, bytes]]:
        self._socket.send(_message(kind, b"", _DUMP))
        found: list[dict[int, bytes]] = []
        while True:
            answer = self._socket.recv(_RECEIVE_BYTES)
            self._check(answer)
            for answer_kind, payload in _iter_messages(answer):
                if answer_kind == _DONE:
                    return found
                found.append(dict(_iter_attributes(payload[_GENERIC.size :])))


# -- a rule in netlink's words --


def encode_rule(table: str, rule: XtRule) -> bytes:
    """Return the attributes of a new rule. Pure."""
    expressions = b"".join(_nested(1, expression) for expression in _expressions(rule))
    return _string(_RULE_TABLE, table) + _string(_RULE_CHAIN, rule.chain) + _nested(_RULE_EXPRESSIONS, expressions)


def _expressions(rule: XtRule) -> Iterator[bytes]:
    if rule.in_interface:
        yield from _compare_interface(_IIFNAME, rule.in_interface, _EQUAL)
    if rule.not_out_interface:
        yield from _compare_interface(_OIFNAME, rule.not_out_interface, _NOT_EQUAL)
    if rule.destination is not None and rule.destination.prefixlen:
        register = _number(1, _REGISTER)
        where = _number(2, _NETWORK_HEADER) + _number(3, _DESTINATION_OFFSET) + _number(4, _ADDRESS_BYTES)
        yield _expression("payload", register + where)
        mask, nothing = _value(rule.destination.netmask.packed), _value(bytes(_ADDRESS_BYTES))
        both = register + _number(2, _REGISTER) + _number(3, _ADDRESS_BYTES)
        yield _expression("bitwise", both + _nested(4, mask) + _nested(5, nothing))
        yield _compare(rule.destination.network_address.packed, _EQUAL)
    for match in rule.matches:
        yield _expression("match", _extension(match))
    yield _expression("counter", b"")
    if rule.target is not None:
        yield _expression("target", _extension(rule.target))
    else:
        yield _verdict(rule.verdict)


def _compare_interface(key: int, name: str, operation: int) -> Iterator[bytes]:
    """Compare a name: whole, up to its end, or before a trailing ``+``."""
    yield _expression("meta", _number(2, key) + _number(1, _REGISTER))
    yield _compare(name[:-1].encode() if name.endswith("+") else name.encode().ljust(16, b"\0"), operation)


def _compare(value: bytes, operation: int) -> bytes:
    return _expression("cmp", _number(1, _REGISTER) + _number(2, operation) + _nested(3, _value(value)))


def _verdict(verdict: str) -> bytes:
    code = _number(1, _RETURN if verdict == RETURN else _JUMP)
    chain = b"" if verdict == RETURN else _string(2, verdict)
    return _expression("immediate", _number(1, 0) + _nested(2, _nested(2, code + chain)))


def _extension(extension: Extension) -> bytes:
    info = extension.info.ljust(-(-len(extension.info) // 8) * 8, b"\0")
    return _string(1, extension.name) + _number(2, extension.revision) + _attribute(3, info)


def _expression(name: str, attributes: bytes) -> bytes:
    return _string(1, name) + _nested(2, attributes)


def _value(value: bytes) -> bytes:
    return _attribute(1, value)


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, (value & 0xFFFFFFFF).to_bytes(4, "big"))


def _string(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _nested(kind: int, attributes: bytes) -> bytes:
    return _attribute(kind | _NESTED, attributes)


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(-len(value) % 4)
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + padding


def _message(kind: int, attributes: bytes, flags: int) -> bytes:
    body = _GENERIC.pack(socket.AF_INET, 0, bytes(2)) + attributes
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST, 0, 0) + body


def _batch_mark(kind: int) -> bytes:
    body = _GENERIC.pack(socket.AF_UNSPEC, 0, (10).to_bytes(2, "big"))
    return _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST, 0, 0) + body


def _iter_messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        size, kind, _flags, _sequence, _port = _HEADER.unpack_from(data, at)
        yield kind, data[at + _HEADER.size : at + size]
        at += -(-size // 4) * 4


def _iter_attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        yield kind & ~_NESTED, data[at + _ATTRIBUTE.size : at + size]
        at += -(-size // 4) * 4


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode()
