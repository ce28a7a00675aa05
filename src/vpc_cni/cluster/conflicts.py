"""Who owns the fields that an apply would change. Pure.

The API server of Kubernetes 1.20 counts conflicts rightly but names wrong fields when one manager has several. So the
list is not taken from its answer: it is what a forced dry run changes, looked up in ``managedFields``.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vpc_cni.manifests import Change, ChangeKind, Manifest, ObjectName, find_changes, name_of, strip_server_fields


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that another manager owns and that would change. ``operation`` is ``Apply`` or ``Update``."""

    object: ObjectName
    path: str
    manager: str
    operation: str
    live: Any
    wanted: Any

    def __str__(self) -> str:
        return (
            f"{self.object}: {self.path} is {json.dumps(self.live)}, owned by {self.manager}; "
            f"wanted {json.dumps(self.wanted)}"
        )


def find_conflicts(live: Manifest, merged: Manifest, manager: str) -> tuple[Conflict, ...]:
    """Return the conflicts of an apply, sorted by path and manager.

    Args:
        live: with its ``managedFields``.
        merged: what a forced dry run of the apply returned.
        manager: who applies; its own earlier applies are no conflict.
    """
    changes = find_changes(strip_server_fields(live), strip_server_fields(merged))
    found = {
        (change.path, owner, operation): Conflict(
            name_of(live), change.path, owner, operation, change.before, change.after
        )
        for owner, operation, path in _owned(live)
        if (owner, operation) != (manager, "Apply")
        for change in changes
        if change.kind is not ChangeKind.ADDED and touches(change, path)
    }
    return tuple(found[key] for key in sorted(found))


def touches(change: Change, path: str) -> bool:
    """Whether a field is the changed one, lies in it, or holds it as one whole."""
    return _is_within(path, change.path) or _is_within(change.path, path)


def _is_within(path: str, outer: str) -> bool:
    return path == outer or (path.startswith(outer) and path[len(outer)] in ".[")


def _owned(live: Manifest) -> Iterator[tuple[str, str, str]]:
    for entry in live.get("metadata", {}).get("managedFields") or ():
        for path in owned_paths(entry.get("fieldsV1") or {}):
            yield str(entry.get("manager", "")), str(entry.get("operation", "")), path


def owned_paths(fields: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield the leaves of a ``fieldsV1`` tree, as paths of :func:`~vpc_cni.manifests.find_changes`.

    ``.`` says that the item itself is owned; that it exists is no value anyone can differ about.
    """
    for name, below in fields.items():
        if name == ".":
            continue
        path = above + _segment(name)
        if below:
            yield from owned_paths(below, path)
        else:
            yield path


def _segment(name: str) -> str:
    kind, _, text = name.partition(":")
    if kind == "f":
        plain = all(character.isalnum() or character in "-_" for character in text)
        return f".{text}" if plain else f".{json.dumps(text)}"
    if kind == "k":
        keys = json.loads(text)
        return "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in keys.items()) + "]"
    return f"[{text}]"
