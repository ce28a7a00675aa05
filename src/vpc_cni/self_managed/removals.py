"""What the old version made and the new one lacks: found, and put into one patch with the new version. Pure.

A server-side apply removes only what its own manager applied before. After the manifests of others that is nothing: the
policy agent, or ``privileged``, would stay. And an apply without ``privileged`` over a live object with it can be
invalid as a whole. So everything is written at once by a strategic merge patch, which also rolls the pods only once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vpc_cni.manifests import Manifest

# Lists that are merged by a key, here and in the API server. Source: patchMergeKey in the Kubernetes API.
_KEYS = {"containers": "name", "initContainers": "name", "volumes": "name", "env": "name", "volumeMounts": "mountPath"}


@dataclass(frozen=True, slots=True)
class Removals:
    """``patch`` is a strategic merge patch that removes and adds nothing; ``paths`` names what goes, sorted."""

    patch: Manifest = field(default_factory=dict)
    paths: tuple[str, ...] = ()


def plan_removals(live: Manifest, base: Manifest, target: Manifest) -> Removals:
    """Return what is live, was made by the old version (``base``), and is not in the new one (``target``)."""
    patch, paths = _stale_fields("", *(each.get("spec", {}) for each in (live, base, target)))
    return Removals({"spec": patch} if patch else {}, tuple(sorted(f".spec{path}" for path in paths)))


def lay_removals(target: Manifest, removals: Removals) -> Manifest:
    """Return one strategic merge patch that brings the new version and takes away what goes."""
    merged: Manifest = _laid("", target, removals.patch)
    return merged


def _stale_fields(above: str, live: Any, base: Any, target: Any) -> tuple[dict[str, Any], list[str]]:
    patch: dict[str, Any] = {}
    paths: list[str] = []
    for name, made in base.items():
        if name not in live:
            continue
        path = f"{above}.{name}"
        if name not in target:
            patch[name] = None
            paths.append(path)
            continue
        trio = (live[name], made, target[name])
        if all(isinstance(each, Mapping) for each in trio):
            found, below = _stale_fields(path, *trio)
        elif name in _KEYS:
            found, below = _stale_items(path, _KEYS[name], *trio)  # type: ignore[assignment] # a list here
        else:
            continue
        if found:
            patch[name] = found
            paths += below
    return patch, paths


def _stale_items(above: str, key: str, live: Any, base: Any, target: Any) -> tuple[list[Manifest], list[str]]:
    patch: list[Manifest] = []
    paths: list[str] = []
    lives, targets = ({each[key]: each for each in items} for items in (live, target))
    for made in base:
        identity = made[key]
        path = f'{above}[{key}="{identity}"]'
        if identity not in lives:
            continue
        if identity not in targets:
            patch.append({key: identity, "$patch": "delete"})
            paths.append(path)
            continue
        found, below = _stale_fields(path, lives[identity], made, targets[identity])
        if found:
            patch.append({key: identity, **found})
            paths += below
    return patch, paths


def _laid(name: str, target: Any, patch: Any) -> Any:
    if isinstance(target, Mapping) and isinstance(patch, Mapping):
        both = {key: _laid(key, target[key], patch[key]) for key in target.keys() & patch.keys()}
        return {**patch, **target, **both}
    if name in _KEYS and isinstance(target, list) and isinstance(patch, list):
        return list(_laid_items(_KEYS[name], target, patch))
    return target


def _laid_items(key: str, target: list[Manifest], patch: list[Manifest]) -> Iterator[Manifest]:
    wanted = {each[key] for each in target}
    removing = {each[key]: each for each in patch}
    for each in target:
        yield _laid("", each, removing.get(each[key], {}))
    yield from (each for each in patch if each[key] not in wanted)
