"""Fields of objects by path: found, taken out, put in. Pure; nothing is changed in place.

A path is the text of :func:`~vpc_cni.manifests.find_changes`, such as ``.spec.containers[name="aws-node"].image``; a
name with a dot or slash of its own is quoted.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vpc_cni.manifests import Manifest
from vpc_cni.manifests.difference import LIST_KEYS

ABSENT: Final = object()
_STEP = re.compile(r'\.(?P<name>[\w-]+)|\.(?P<quoted>"(?:[^"\\]|\\.)*")|\[(?P<keys>(?:[^\]"]|"(?:[^"\\]|\\.)*")*)\]')
_KEY = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^,]+)')


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a list that is merged by keys. ``keys`` is empty where a path names it otherwise: none is found."""

    keys: tuple[tuple[str, Any], ...]


Step = str | Item


@functools.lru_cache(4096)
def parse_path(path: str) -> tuple[Step, ...]:
    """Return the steps from the object down to a field."""
    return tuple(_steps(path))


def _steps(path: str) -> Iterator[Step]:
    for found in _STEP.finditer(path):
        if found["name"]:
            yield found["name"]
        elif found["quoted"]:
            yield json.loads(found["quoted"])
        else:
            yield Item(tuple((name, json.loads(value)) for name, value in _KEY.findall(found["keys"])))


def api_spelling(path: str) -> str:
    """Return a path as conflict messages of the API server spell it: names are never quoted."""
    return _STEP.sub(lambda found: f".{json.loads(found['quoted'])}" if found["quoted"] else found[0], path)


def is_within(path: str, outer: str) -> bool:
    """Whether a field is another one, or lies in it."""
    return path == outer or (path.startswith(outer) and path[len(outer)] in ".[")


def find_field(value: Any, path: str) -> Any:
    """Return what is at a path, ``ABSENT`` for nothing."""
    field = ""
    for step in parse_path(path):
        if isinstance(step, Item):
            items = value if isinstance(value, list) else ()
            value = next((each for each in items if _is_item(field, each, step)), ABSENT)
        else:
            value = value.get(step, ABSENT) if isinstance(value, Mapping) else ABSENT
            field = step
    return value


def without_field(manifest: Manifest, path: str) -> Manifest:
    """Return a manifest that does not name a field, nor the maps and lists that it leaves empty.

    Items keep the keys that tell them from others, so they stay unless they are the field.
    """
    left = _without(manifest, "", parse_path(path))
    return left if isinstance(left, dict) else {}


def _without(value: Any, field: str, steps: tuple[Step, ...]) -> Any:
    """Return what is left of a value, ABSENT for nothing."""
    if not steps:
        return ABSENT
    step, below = steps[0], steps[1:]
    if isinstance(step, Item):
        if not isinstance(value, list):
            return value
        items = [_without(each, "", below) if _is_item(field, each, step) else each for each in value]
        left: Any = [each for each in items if each is not ABSENT]
    else:
        if not isinstance(value, Mapping) or step not in value:
            return value
        inner = _without(value[step], step, below)
        left = {name: each for name, each in value.items() if name != step}
        if inner is not ABSENT:
            left = {name: inner if name == step else each for name, each in value.items()}
    return left if left or not value else ABSENT


def with_field(manifest: Manifest, path: str, value: Any) -> Manifest:
    """Return a manifest that has a value at a path; items and maps on the way are made."""
    laid: Manifest = _with(manifest, "", parse_path(path), value)
    return laid


def _with(before: Any, field: str, steps: tuple[Step, ...], value: Any) -> Any:
    if not steps:
        return value
    step, below = steps[0], steps[1:]
    if isinstance(step, Item):
        items = list(before) if isinstance(before, list) else []
        for index, each in enumerate(items):
            if _is_item(field, each, step):
                items[index] = _with(each, "", below, value)
                return items
        made = _with({}, "", below, value)
        return [*items, {**dict(step.keys), **made} if isinstance(made, Mapping) else made]
    known = before if isinstance(before, Mapping) else {}
    return {**known, step: _with(known.get(step), step, below, value)}


def _is_item(field: str, item: Any, wanted: Item) -> bool:
    defaults = LIST_KEYS.get(field, {})
    return (
        bool(wanted.keys)
        and isinstance(item, Mapping)
        and all(item.get(name, defaults.get(name)) == value for name, value in wanted.keys)
    )


def leaves(value: Any, path: str = "", field: str = "") -> Iterator[str]:
    """Yield the paths of all values that are set on their own; lists without keys count as one value."""
    if isinstance(value, Mapping) and value:
        for name, below in value.items():
            yield from leaves(below, path + name_step(str(name)), str(name))
    elif field in LIST_KEYS and isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        for item in value:
            yield from leaves(item, path + item_step(field, item))
    else:
        yield path


def name_step(name: str) -> str:
    """Return the step of a path to a field of that name."""
    plain = all(character.isalnum() or character in "-_" for character in name)
    return f".{name}" if plain else f".{json.dumps(name)}"


def item_step(field: str, item: Mapping[str, Any]) -> str:
    """Return the step of a path to an item of a keyed list."""
    keys = LIST_KEYS[field]
    return "[" + ",".join(f"{name}={json.dumps(item.get(name, default))}" for name, default in keys.items()) + "]"
