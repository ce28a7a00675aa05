"""How changes of fields are shown to people: a line where it is short, else one for each side. Pure."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from vpc_cni.cluster import Conflict
from vpc_cni.manifests import Change, ChangeKind

_MARKS = {ChangeKind.ADDED: "+", ChangeKind.REMOVED: "-", ChangeKind.CHANGED: "~"}
# A terminal of 80 columns, less the indentation.
_LINE_CHARACTERS = 76
_VALUE_CHARACTERS = 150


def change_lines(change: Change) -> Iterator[str]:
    """Yield a field with its values, long ones cut; of two lists only the items that differ."""
    head = f"{_MARKS[change.kind]} {change.path}"
    if change.kind is ChangeKind.CHANGED:
        sides = tuple(_sides(change.before, change.after))
        short = f"{head}: {shown(change.before)} -> {shown(change.after)}"
        yield from (short,) if len(short) <= _LINE_CHARACTERS else (head, *(f"    {side}" for side in sides))
        return
    value = shown(change.after if change.kind is ChangeKind.ADDED else change.before)
    short = f"{head}: {value}"
    yield from (short,) if len(short) <= _LINE_CHARACTERS else (head, f"    {value}")


def _sides(before: Any, after: Any) -> Iterator[str]:
    if not isinstance(before, list) or not isinstance(after, list):
        yield from (f"- {shown(before)}", f"+ {shown(after)}")
        return
    gone, come = [each for each in before if each not in after], [each for each in after if each not in before]
    yield from (f"- {shown(each)}" for each in gone)
    yield from (f"+ {shown(each)}" for each in come)
    if not gone and not come:
        yield "in another order"


def conflict_lines(conflicts: Iterable[Conflict]) -> Iterator[str]:
    """Yield conflicts by object and owner, with the live and the wanted value of each field."""
    for (name, manager), found in groupby(conflicts, key=lambda each: (each.object, each.manager)):
        yield f"{name}, owned by {manager}:"
        for each in found:
            kind = ChangeKind.REMOVED if each.wanted is None else ChangeKind.CHANGED
            yield from (f"  {line}" for line in change_lines(Change(each.path, kind, each.live, each.wanted)))


def shown(value: Any) -> str:
    """Return a value in one line, cut where it is long; of a variable its value."""
    if isinstance(value, dict) and value.keys() == {"name", "value"}:
        value = value["value"]
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= _VALUE_CHARACTERS else f"{text[:_VALUE_CHARACTERS]}…"
