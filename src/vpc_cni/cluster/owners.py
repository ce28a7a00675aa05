"""Who owns which fields of a live object, from its ``managedFields``. Pure.

Source: Kubernetes documentation, Server-Side Apply; sigs.k8s.io/structured-merge-diff for the form of ``fieldsV1``.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vpc_cni.cluster.fields import is_within, leaves, name_step
from vpc_cni.manifests import Manifest, strip_server_fields

# Whom the API server takes for the owner of all that nobody owns when an object's managedFields were emptied.
NOBODY = "before-first-apply"
_APPLY = "Apply"


@dataclass(frozen=True, slots=True)
class Owned:
    """One field of one manager. ``is_item``: that an item of a list is there, whatever it holds."""

    manager: str
    operation: str
    path: str
    is_item: bool = False


def find_owned(live: Manifest) -> tuple[Owned, ...]:
    """Return who owns what; a field with several owners comes several times."""
    entries = [each for each in live.get("metadata", {}).get("managedFields") or () if each]
    if not entries:
        return tuple(Owned(NOBODY, "Update", path) for path in _values(strip_server_fields(live)))
    return tuple(
        Owned(str(entry.get("manager", "")), str(entry.get("operation", "")), path, is_item)
        for entry in entries
        for path, is_item in owned_paths(entry.get("fieldsV1") or {})
    )


def find_owners(live: Manifest, path: str) -> tuple[str, ...]:
    """Return the managers who own a field, a part of it, or all around it as one value; ascending."""
    return owners_of(path, find_owned(live))


def owners_of(path: str, owned: Iterable[Owned]) -> tuple[str, ...]:
    """Return the same from what was found."""
    return tuple(
        sorted(
            {
                each.manager
                for each in owned
                if is_within(each.path, path) or (is_within(path, each.path) and not each.is_item)
            }
        )
    )


def is_applied_by(live: Manifest, manager: str) -> bool:
    """Whether a manager has applied an object, as far as can be told: nobody is left to tell when all was emptied."""
    entries = [each for each in live.get("metadata", {}).get("managedFields") or () if each]
    return not entries or any((each.get("manager"), each.get("operation")) == (manager, _APPLY) for each in entries)


def find_updates(live: Manifest, manager: str) -> tuple[int, ...]:
    """Return where in ``managedFields`` a manager stands for writes that were no applies, ascending."""
    entries = live.get("metadata", {}).get("managedFields") or ()
    return tuple(
        index
        for index, each in enumerate(entries)
        if each.get("manager") == manager and each.get("operation") != _APPLY and not each.get("subresource")
    )


def owned_paths(fields: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, bool]]:
    """Yield the leaves of a ``fieldsV1`` tree as paths, and the items it owns as such."""
    for name, below in fields.items():
        if name == ".":
            if above.endswith("]"):
                yield above, True
            continue
        path = above + _step(name)
        if below:
            yield from owned_paths(below, path)
        else:
            yield path, False


def _step(name: str) -> str:
    kind, _, text = name.partition(":")
    if kind == "f":
        return name_step(text)
    if kind == "k":
        keys = json.loads(text)
        return "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in keys.items()) + "]"
    return f"[{text}]"


def _values(stripped: Manifest) -> Iterator[str]:
    """Yield the fields that an owner can have: not what identifies an object."""
    identity = (".apiVersion", ".kind", ".metadata.name", ".metadata.namespace")
    return (path for path in leaves(stripped) if path not in identity)
