"""What an apply would come to, told without an API server. Pure.

For the cases in which no forced dry run can be had: the live object is in a state that fails every apply until it is
rewritten (:mod:`~vpc_cni.cluster.rewriting`), or a webhook takes no part in dry runs. Follows the merge of server-side
apply as Kubernetes 1.20 does it: an item that its applier drops goes with all that others own in it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vpc_cni.cluster.fields import ABSENT, find_field, item_step, name_step, without_field
from vpc_cni.cluster.owners import Owned, find_owned
from vpc_cni.manifests import Manifest
from vpc_cni.manifests.difference import LIST_KEYS

# Maps that are one value, and for which a merge would be refused. References to fields are so in newer versions, but
# what the API server fills in there (``apiVersion``) must not look like a change.
_ATOMIC_MAPS = frozenset({"selector", "roleRef"})
_PROBE = ("exec", "httpGet", "tcpSocket", "grpc")
_PROBES = frozenset({"livenessProbe", "readinessProbe", "startupProbe"})
_ENV = ("value", "valueFrom")


@dataclass(frozen=True, slots=True)
class Clash:
    """Members of one map of which the API server takes only one side: those ``live`` there, or those ``wanted``."""

    path: str
    live: tuple[str, ...]
    wanted: tuple[str, ...]


def find_clashes(live: Any, wanted: Any, field: str = "", path: str = "") -> Iterator[Clash]:
    """Yield what an apply cannot lay over a live object, since both together would be refused."""
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        clash = _clash(field, live, wanted, path)
        if clash is not None:
            yield clash
        for name in sorted(live.keys() & wanted.keys()):
            yield from find_clashes(live[name], wanted[name], name, path + name_step(str(name)))
    elif _is_keyed(field, live) and _is_keyed(field, wanted):
        known = {item_step(field, each): each for each in live}
        for each in wanted:
            step = item_step(field, each)
            if step in known:
                yield from find_clashes(known[step], each, field, path + step)


def _clash(field: str, live: Mapping[str, Any], wanted: Mapping[str, Any], path: str) -> Clash | None:
    if field == "securityContext":
        refused = wanted.get("allowPrivilegeEscalation") is False and live.get("privileged")
        if refused and "privileged" not in wanted:
            return Clash(path, ("privileged",), ("allowPrivilegeEscalation",))
        return None
    members = _members(field, wanted)
    gone = tuple(name for name in _members(field, live) if name not in members)
    return Clash(path, gone, members) if members and gone else None


def _members(field: str, value: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the members of a value of which the API allows one only; ``field`` is the nearest name above it.

    Source: Kubernetes API reference, EnvVar, Volume, Probe.
    """
    if field == "env":
        return tuple(name for name in _ENV if value.get(name))
    if field == "volumes":
        return tuple(name for name in value if name != "name")
    if field in _PROBES:
        return tuple(name for name in _PROBE if name in value)
    return ()


def lay(live: Manifest, wanted: Manifest, manager: str, removals: Iterable[str] = ()) -> Manifest:
    """Return what a forced apply of ``wanted`` would make of an object; server fields stay as they are.

    Args:
        live: with its ``managedFields``; of items that are there twice the last one counts.
        removals: fields that go besides.
    """
    laid: Manifest = _laid("", live, wanted)
    owned = find_owned(live)
    for path in (*_dropped(owned, wanted, manager), *removals):
        laid = without_field(laid, path)
    return laid


def _dropped(owned: tuple[Owned, ...], wanted: Manifest, manager: str) -> Iterator[str]:
    mine = [each for each in owned if (each.manager, each.operation) == (manager, "Apply")]
    others = {each.path for each in owned if each.manager != manager}
    return (each.path for each in mine if each.path not in others and find_field(wanted, each.path) is ABSENT)


def _laid(field: str, live: Any, wanted: Any) -> Any:
    if isinstance(live, Mapping) and isinstance(wanted, Mapping) and field not in _ATOMIC_MAPS:
        clash = _clash(field, live, wanted, "")
        kept = {name: value for name, value in live.items() if clash is None or name not in clash.live}
        return {**kept, **{name: _laid(name, kept.get(name), value) for name, value in wanted.items()}}
    if _is_keyed(field, live) and _is_keyed(field, wanted):
        return _laid_items(field, live, wanted)
    return wanted


def _laid_items(field: str, live: list[Manifest], wanted: list[Manifest]) -> list[Manifest]:
    items: dict[str, Any] = {item_step(field, each): each for each in live}
    for each in wanted:
        step = item_step(field, each)
        items[step] = _laid(field, items.get(step), each)
    return list(items.values())


def _is_keyed(field: str, value: Any) -> bool:
    return field in LIST_KEYS and isinstance(value, list) and all(isinstance(each, Mapping) for each in value)


def without_doubles(value: Any, field: str = "") -> Any:
    """Return a value in which no keyed list has two items of one key: the last one stays, in the place of the first."""
    if isinstance(value, Mapping):
        return {name: without_doubles(each, str(name)) for name, each in value.items()}
    if _is_keyed(field, value):
        last = {item_step(field, each): without_doubles(each, field) for each in value}
        return list(last.values())
    return value
