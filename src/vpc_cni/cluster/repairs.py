"""States of a live DaemonSet in which the API server refuses every apply, and the patch that ends them. Pure.

Two are known: a variable that a container names twice (server-side apply fails with status 500, forced or not), and a
variable with a ``value`` where ``valueFrom`` is applied, or the reverse (status 422).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vpc_cni.cluster.inventory import find_container, find_named, pod_spec
from vpc_cni.manifests import Manifest


@dataclass(frozen=True, slots=True)
class Repairs:
    """``patch`` is a JSON patch (RFC 6902) that fails when the object has changed since; empty: nothing to repair."""

    reasons: tuple[str, ...] = ()
    patch: tuple[Mapping[str, Any], ...] = ()


def plan_repairs(live: Manifest, target: Manifest) -> Repairs:
    """Return what must be repaired before ``target`` can be applied.

    Of a variable that is there twice the last one is kept, since that one counts for kubelet.
    """
    reasons: list[str] = []
    operations: list[Mapping[str, Any]] = []
    for key in ("initContainers", "containers"):
        for index, container in enumerate(pod_spec(live).get(key) or ()):
            found = tuple(_problems(container, find_container(target, container["name"]) or {}))
            if found:
                path = f"/spec/template/spec/{key}/{index}/env"
                operations.append({"op": "replace", "path": path, "value": _repaired(container, target)})
                reasons += found
    if not operations:
        return Repairs()
    version = live.get("metadata", {}).get("resourceVersion", "")
    guard = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    return Repairs(tuple(reasons), (guard, *operations))


def _problems(container: Manifest, wanted: Manifest) -> Iterator[str]:
    name, env = container["name"], container.get("env") or []
    names = [each["name"] for each in env]
    for repeated in sorted({each for each in names if names.count(each) > 1}):
        yield f"container {name} names {repeated} {names.count(repeated)} times: the API server fails every apply"
    for each in wanted.get("env") or ():
        live = find_named(env, each["name"])
        if live is not None and _clash(live, each):
            yield f"container {name}: {each['name']} has a {_form(live)}, and a {_form(each)} cannot be applied over it"


def _repaired(container: Manifest, target: Manifest) -> list[Manifest]:
    last = {each["name"]: each for each in container["env"]}
    wanted = {each["name"]: each for each in (find_container(target, container["name"]) or {}).get("env") or ()}
    return [wanted[name] if name in wanted and _clash(each, wanted[name]) else each for name, each in last.items()]


def _clash(live: Manifest, wanted: Manifest) -> bool:
    return bool(live.get("valueFrom") and wanted.get("value")) or bool(live.get("value") and wanted.get("valueFrom"))


def _form(entry: Manifest) -> str:
    return "valueFrom" if entry.get("valueFrom") else "value"
