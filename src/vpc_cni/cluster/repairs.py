"""Variables of a live DaemonSet over which the API server refuses every apply. Pure.

Two states are known: a variable that a container names twice (status 500, forced or not), and a variable with a
``value`` where ``valueFrom`` is applied, or the reverse (status 422). A rewrite ends both
(:mod:`~vpc_cni.cluster.rewriting`); of a variable that is there twice the last one is kept, since that one counts for
kubelet.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from vpc_cni.cluster.fields import item_step
from vpc_cni.cluster.inventory import find_container, find_named, pod_spec
from vpc_cni.cluster.laying import find_clashes
from vpc_cni.manifests import Manifest

_FIELD = "env"


@dataclass(frozen=True, slots=True)
class Repair:
    """A variable to mend: its path in the DaemonSet, and for people what is wrong with it."""

    path: str
    reason: str


def find_repairs(live: Manifest, wanted: Manifest) -> tuple[Repair, ...]:
    """Return what must be mended before ``wanted`` can be applied, in the order of containers; empty when nothing."""
    spec = pod_spec(live)
    return tuple(
        repair
        for key in ("initContainers", "containers")
        for container in spec.get(key) or ()
        for repair in _repairs_of(
            f".spec.template.spec.{key}{item_step(key, container)}",
            container,
            find_container(wanted, container["name"]) or {},
        )
    )


def _repairs_of(path: str, container: Manifest, wanted: Manifest) -> Iterator[Repair]:
    name, env = container["name"], container.get(_FIELD) or []
    names = [each["name"] for each in env]
    for repeated in sorted({each for each in names if names.count(each) > 1}):
        reason = f"container {name} names {repeated} {names.count(repeated)} times: the API server fails every apply"
        yield Repair(f'{path}.{_FIELD}[name="{repeated}"]', reason)
    for each in wanted.get(_FIELD) or ():
        live = find_named(env, each["name"])
        for clash in () if live is None else find_clashes([live], [each], _FIELD, f"{path}.{_FIELD}"):
            form, other = clash.live[0], clash.wanted[0]
            reason = f"container {name}: {each['name']} has a {form}, and a {other} cannot be applied over it"
            yield Repair(clash.path, reason)
