"""A request's parameters: the flat ``Filter.1.Value.2=x`` form read as a tree, with typed access.

Source: EC2 API reference, "Query requests": structures use dots, list members are numbered from 1.
"""

import json
import re
from collections.abc import Iterable, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, NetmaskValueError

from vpc_cni.lab.cloud import errors

# What an XML answer could not carry back. Source: XML 1.0, production [2] Char.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Node = str | dict[str, "Node"]


class Parameters:
    """One level of the tree. Absent parameters read as empty; malformed ones raise EC2's errors.

    Args:
        path: the name of this level as the caller wrote it, with a trailing dot; for messages.
    """

    def __init__(self, nodes: Mapping[str, Node], path: str = "") -> None:
        self._nodes = nodes
        self._path = path

    def digest(self) -> str:
        """Return a text that is equal for equal parameters."""
        return json.dumps(self._nodes, sort_keys=True)

    def names(self) -> list[str]:
        return list(self._nodes)

    def __contains__(self, name: str) -> bool:
        return name in self._nodes

    def text(self, name: str, default: str = "") -> str:
        node = self._nodes.get(name, default)
        if not isinstance(node, str):
            raise errors.unknown_parameter(self._path + name)
        return node

    def required(self, name: str) -> str:
        text = self.text(name)
        if not text:
            raise errors.missing_parameter(self._path + name)
        return text

    def integer(self, name: str) -> int | None:
        text = self.text(name)
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise self._invalid(name, text) from None

    def count(self, name: str, least: int = 1) -> int:
        """Return a number of things: 0 when absent; an explicit number below ``least`` is refused."""
        number = self.integer(name)
        if number is None:
            return 0
        if number < least:
            raise self._invalid(name, str(number))
        return number

    def flag(self, name: str, default: bool = False) -> bool:
        text = self.text(name).lower()
        if not text:
            return default
        if text not in {"true", "false"}:
            raise errors.invalid_value(f"Invalid value '{text}' for Boolean")
        return text == "true"

    def optional_flag(self, name: str) -> bool | None:
        return self.flag(name) if name in self else None

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list parameter in its numbered order."""
        return tuple(self._member_text(name, number, node) for number, node in self._members(name))

    def children(self, name: str) -> list["Parameters"]:
        """Return a list of structures in its numbered order."""
        levels = []
        for number, node in self._members(name):
            if isinstance(node, str):
                raise errors.unknown_parameter(f"{self._path}{name}.{number}")
            levels.append(Parameters(node, f"{self._path}{name}.{number}."))
        return levels

    def child(self, name: str) -> "Parameters":
        node = self._nodes.get(name, {})
        if isinstance(node, str):
            raise errors.unknown_parameter(self._path + name)
        return Parameters(node, f"{self._path}{name}.")

    def allow(self, *names: str) -> None:
        """Refuse every parameter of this level that is not named: the lab ignores nothing silently."""
        for name in self._nodes:
            if name not in names:
                raise errors.unknown_parameter(self._path + name)

    def _members(self, name: str) -> list[tuple[int, Node]]:
        node = self._nodes.get(name)
        if node is None:
            return []
        if isinstance(node, str) or not all(number.isdecimal() for number in node):
            raise errors.unknown_parameter(self._path + name)
        return sorted((int(number), member) for number, member in node.items())

    def _member_text(self, name: str, number: int, node: Node) -> str:
        if not isinstance(node, str):
            raise errors.unknown_parameter(f"{self._path}{name}.{number}")
        return node

    def _invalid(self, name: str, text: str) -> errors.CloudApiError:
        return errors.invalid_value(f"Value ({text}) for parameter {self._path}{name} is invalid.")


def parse_parameters(pairs: Iterable[tuple[str, str]]) -> Parameters:
    """Read decoded form fields as a tree. Pure; the last of two equal names wins."""
    tree: dict[str, Node] = {}
    for name, value in pairs:
        if _NOT_XML.search(name) or _NOT_XML.search(value):
            raise errors.CloudApiError("InvalidCharacter", "A specified character is invalid.")
        *parents, leaf = name.split(".")
        level = tree
        for parent in parents:
            below = level.setdefault(parent, {})
            if isinstance(below, str):
                raise errors.unknown_parameter(name)
            level = below
        if isinstance(level.get(leaf), dict):
            raise errors.unknown_parameter(name)
        level[leaf] = value
    return Parameters(tree)


def ipv4(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError:
        raise errors.invalid_value(f"Value ({text}) for parameter address is invalid. Invalid IPv4 address.") from None


def ipv6(text: str) -> IPv6Address:
    try:
        return IPv6Address(text)
    except AddressValueError:
        raise errors.invalid_value(f"Value ({text}) for parameter address is invalid. Invalid IPv6 address.") from None


def ipv4_block(text: str) -> IPv4Network:
    """Read a CIDR block; host bits must be zero."""
    try:
        return IPv4Network(text)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise _not_a_block(text) from None


def ipv6_block(text: str) -> IPv6Network:
    try:
        return IPv6Network(text)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise _not_a_block(text) from None


def _not_a_block(text: str) -> errors.CloudApiError:
    return errors.invalid_value(f"Value ({text}) for parameter cidrBlock is invalid. This is not a valid CIDR block.")
