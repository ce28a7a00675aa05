"""How two versions of a Kubernetes object differ, field by field. Pure.

Lists that Kubernetes merges by a key are compared by that key, so that a new variable in the middle of ``env`` is
one change and not twenty; all other lists count as one value. Which list has which key is what server-side apply
uses, so a path here names the same field as a conflict message of the API server does:
``.spec.template.spec.containers[name="aws-node"].env[name="WARM_IP_TARGET"].value``.
"""

import enum
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vpc_cni.manifests.quantities import canonical_quantity

_ABSENT: Final = object()

# Field -> names that identify an item, with the value that holds where one is left out.
# Source: x-kubernetes-list-map-keys in the Kubernetes API.
LIST_KEYS: Mapping[str, Mapping[str, object]] = {
    "containers": {"name": ""},
    "initContainers": {"name": ""},
    "ephemeralContainers": {"name": ""},
    "volumes": {"name": ""},
    "env": {"name": ""},
    "imagePullSecrets": {"name": ""},
    "volumeMounts": {"mountPath": ""},
    "volumeDevices": {"devicePath": ""},
    "ports": {"containerPort": 0, "protocol": "TCP"},
    "hostAliases": {"ip": ""},
    "conditions": {"type": ""},
    "ownerReferences": {"uid": ""},
}
# Field -> value that the API server leaves out when it shows an object, though it may be applied: the value of a
# variable, and a field of definitions that only matters against one from before apiextensions.k8s.io/v1.
_DROPPED: Mapping[str, object] = {"value": "", "preserveUnknownFields": False}
_QUANTITIES = frozenset({"limits", "requests"})
# What the API server and kubectl write; an apply of a saved object fails or misleads with them in it.
_SERVER_FIELDS = frozenset(
    {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "deletionTimestamp"}
)
_SERVER_ANNOTATIONS = frozenset(
    {"kubectl.kubernetes.io/last-applied-configuration", "deprecated.daemonset.template.generation"}
)


class ChangeKind(enum.StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs. ``before`` is None for what was added, ``after`` for what was removed."""

    path: str
    kind: ChangeKind
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class ObjectName:
    """What identifies an object in a cluster; ``group`` is the API group without a version, empty for core."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        kind = f"{self.kind}.{self.group}" if self.group else self.kind
        return f"{kind} {self.namespace}/{self.name}" if self.namespace else f"{kind} {self.name}"


def name_of(manifest: Mapping[str, Any]) -> ObjectName:
    """Return what identifies an object."""
    group, slash, _version = str(manifest.get("apiVersion", "")).rpartition("/")
    metadata = manifest.get("metadata", {})
    return ObjectName(
        group=group if slash else "",
        kind=str(manifest.get("kind", "")),
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata.get("name", "")),
    )


def strip_server_fields(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without status and without what the API server and kubectl put into its metadata."""
    metadata = {name: value for name, value in manifest.get("metadata", {}).items() if name not in _SERVER_FIELDS}
    annotations = metadata.pop("annotations", None) or {}
    kept = {name: value for name, value in annotations.items() if name not in _SERVER_ANNOTATIONS}
    if kept:
        metadata["annotations"] = kept
    stripped = {name: value for name, value in manifest.items() if name not in ("status", "metadata")}
    return {**stripped, "metadata": metadata}


def find_changes(
    before: Mapping[str, Any], after: Mapping[str, Any], *, declared_only: bool = False
) -> tuple[Change, ...]:
    """Return the fields in which two objects differ, sorted by path; empty when they say the same.

    Amounts below ``limits`` and ``requests`` are compared as amounts. Empty maps and lists count as absent, as in
    the API. A whole item of a keyed list that is new or gone is one change.

    Args:
        declared_only: leave out what only ``before`` has: with a live object there, that is what the API server
            filled in and what others added, which an apply does not touch.
    """
    found = sorted(_compare("", "", before, after), key=lambda change: change.path)
    return tuple(change for change in found if not (declared_only and change.kind is ChangeKind.REMOVED))


def _compare(path: str, field: str, before: object, after: object) -> Iterator[Change]:
    """Compare two values of one field; ``field`` is the name of the nearest map key."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        quantities = field in _QUANTITIES
        for name in sorted({*before, *after}, key=str):
            old, new = before.get(name, _ABSENT), after.get(name, _ABSENT)
            if quantities and canonical_quantity(old) == canonical_quantity(new):
                continue
            yield from _compare(f"{path}.{_shown(name)}", str(name), old, new)
    elif field in LIST_KEYS and isinstance(before, list) and isinstance(after, list):
        yield from _compare_keyed(path, field, before, after)
    elif before != after and not (_is_empty(before) and _is_empty(after)) and not _is_dropped(field, before, after):
        yield _change(path, before, after)


def _is_dropped(field: str, before: object, after: object) -> bool:
    return field in _DROPPED and all(value is _ABSENT or value == _DROPPED[field] for value in (before, after))


def _compare_keyed(path: str, field: str, before: list[Any], after: list[Any]) -> Iterator[Change]:
    old, new = _by_key(field, before), _by_key(field, after)
    if old is None or new is None:
        # A key is missing or comes twice: no telling what belongs together.
        if before != after:
            yield _change(path, before, after)
        return
    for key in sorted({*old, *new}):
        yield from _compare(f"{path}[{key}]", "", old.get(key, _ABSENT), new.get(key, _ABSENT))


def _by_key(field: str, items: list[Any]) -> dict[str, Any] | None:
    """Return the items by the text that identifies them in a path; None when that fails for one of them."""
    keys = LIST_KEYS[field]
    found: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, Mapping) or next(iter(keys)) not in item:
            return None
        values = {name: item.get(name, default) for name, default in keys.items()}
        found[",".join(f"{name}={json.dumps(value)}" for name, value in values.items())] = {**values, **item}
    return found if len(found) == len(items) else None


def _change(path: str, before: object, after: object) -> Change:
    if before is _ABSENT or _is_empty(before):
        return Change(path, ChangeKind.ADDED, None, after)
    if after is _ABSENT or _is_empty(after):
        return Change(path, ChangeKind.REMOVED, before, None)
    return Change(path, ChangeKind.CHANGED, before, after)


def _is_empty(value: object) -> bool:
    return value is _ABSENT or value is None or (isinstance(value, Mapping | list) and not value)


def _shown(name: object) -> str:
    """Return a map key for a path: quoted where a dot or slash of its own would mislead."""
    text = str(name)
    return text if all(character.isalnum() or character in "-_" for character in text) else json.dumps(text)
