"""Rewrites of live objects where an apply alone would not do, as JSON patches (RFC 6902). Pure.

Theory of operation. There are states in which the API server refuses every apply, forced or not, and there is what an
apply leaves though it should go: fields of the old version that others own. Then the object is first written as it
shall be in the end, in one write, so that pods roll once. The write makes us the owner by an *update*; that is taken
back, and the apply after it changes no value and makes us the owner by an *apply*.

Each patch names the ``resourceVersion`` that it was made for, so that it fails with status 409 when somebody has
changed the object since.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vpc_cni.cluster.fields import ABSENT, find_field
from vpc_cni.cluster.laying import find_clashes, lay, without_doubles
from vpc_cni.cluster.owners import find_updates
from vpc_cni.cluster.repairs import find_repairs
from vpc_cni.manifests import Manifest

Patch = tuple[Mapping[str, Any], ...]
_IDENTITY = frozenset({"apiVersion", "kind", "metadata", "status"})
_METADATA = ("labels", "annotations")


def find_rewrites(live: Manifest, wanted: Manifest, manager: str, removals: Iterable[str] = ()) -> Iterator[str]:
    """Yield why an apply, forced or not, would be refused, leave something, or be none of ours alone."""
    yield from _find_refusals(live, wanted)
    stubborn = _find_stubborn(live, wanted, manager, removals)
    if stubborn:
        yield f"others own what only the old version has, which an apply would leave: {', '.join(stubborn)}"
    if find_updates(live, manager):
        yield f"{manager} has written it otherwise than by an apply"


def _find_refusals(live: Manifest, wanted: Manifest) -> Iterator[str]:
    repairs = find_repairs(live, wanted)
    yield from (each.reason for each in repairs)
    mended = {each.path for each in repairs}
    for clash in find_clashes(without_doubles(live), wanted):
        if clash.path not in mended:
            yield f"{clash.path} has {', '.join(clash.live)}, which excludes {', '.join(clash.wanted)}"


def _find_stubborn(live: Manifest, wanted: Manifest, manager: str, removals: Iterable[str]) -> tuple[str, ...]:
    """Return what would still be there after an apply."""
    removals = tuple(removals)
    applied = lay(without_doubles(live), wanted, manager) if removals else {}
    return tuple(path for path in removals if find_field(applied, path) is not ABSENT)


def plan_rewrite(live: Manifest, wanted: Manifest, manager: str, removals: tuple[str, ...] = ()) -> Patch:
    """Return what makes an object what it shall be after an apply of ``wanted``; empty when an apply alone does."""
    if not any(_find_refusals(live, wanted)) and not _find_stubborn(live, wanted, manager, removals):
        return ()
    laid = lay(without_doubles(live), wanted, manager, removals)
    return (_guard(live), *_differences(live, laid))


def _differences(live: Manifest, laid: Manifest) -> Iterator[Mapping[str, Any]]:
    names = sorted((live.keys() | laid.keys()) - _IDENTITY)
    yield from _operations("", live, laid, names)
    yield from _operations("/metadata", live.get("metadata", {}), laid.get("metadata", {}), _METADATA)


def _operations(above: str, live: Manifest, laid: Manifest, names: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for name in names:
        if name not in laid and name in live:
            yield {"op": "remove", "path": f"{above}/{name}"}
        elif name in laid and laid[name] != live.get(name):
            yield {"op": "add", "path": f"{above}/{name}", "value": laid[name]}


def plan_release(live: Manifest, manager: str) -> Patch:
    """Return what takes from a manager what it owns otherwise than by its applies, as after a rewrite.

    What it owns twice stays when an apply drops it, since the API server takes the other owner for someone else.
    """
    indices = find_updates(live, manager)
    removals = ({"op": "remove", "path": f"/metadata/managedFields/{index}"} for index in reversed(indices))
    return (_guard(live), *removals) if indices else ()


def _guard(live: Manifest) -> Mapping[str, Any]:
    version = live.get("metadata", {}).get("resourceVersion", "")
    return {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
