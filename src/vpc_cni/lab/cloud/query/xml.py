"""XML of the query protocols: a tree of plain values under the names that go on the wire."""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'

Value = str | int | float | bool | None | Mapping[str, "Value"] | Sequence["Value"]
Tree = Mapping[str, Value]


def render_tree(tree: Tree, item: str = "item") -> str:
    """Return the elements of a tree. Members that are None are left out; empty lists stay. Pure.

    Args:
        item: the element of a list's members.
    """
    parts: list[str] = []
    _write_members(parts, tree, item)
    return "".join(parts)


def _write_members(parts: list[str], tree: Tree, item: str) -> None:
    for name, value in tree.items():
        if value is not None:
            _write(parts, name, value, item)


def _write(parts: list[str], name: str, value: Value, item: str) -> None:
    if isinstance(value, str):
        parts.append(f"<{name}>{escape(value)}</{name}>")
    elif isinstance(value, Mapping):
        parts.append(f"<{name}>")
        _write_members(parts, value, item)
        parts.append(f"</{name}>")
    elif isinstance(value, Sequence):
        parts.append(f"<{name}>")
        for member in value:
            _write(parts, item, member, item)
        parts.append(f"</{name}>")
    elif isinstance(value, bool):
        parts.append(f"<{name}>{'true' if value else 'false'}</{name}>")
    else:
        parts.append(f"<{name}>{value}</{name}>")
