"""What it takes to bring an installation back to a backup. Pure.

Objects are replaced, not applied: an apply would leave in place whatever others have added since.
"""

from dataclasses import dataclass

from vpc_cni.cluster.inventory import ADDON_OBJECTS, Inventory, reference_of
from vpc_cni.errors import RefusedError
from vpc_cni.manifests import Change, Manifest, ObjectName, find_changes, name_of, strip_server_fields
from vpc_cni.self_managed.backup import Backup

# Fields that the API server never lets anyone change.
_IMMUTABLE = {
    "DaemonSet": ("spec", "selector"),
    "ClusterRoleBinding": ("roleRef",),
}


@dataclass(frozen=True, slots=True)
class Restoration:
    """One object to write: ``changes`` against the live one; ``is_new`` when that is gone."""

    manifest: Manifest
    is_new: bool
    changes: tuple[Change, ...]

    @property
    def is_needed(self) -> bool:
        return self.is_new or bool(self.changes)


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """In the order to write; ``left`` are live objects that the backup does not hold: they stay."""

    steps: tuple[Restoration, ...]
    left: tuple[ObjectName, ...]


def plan_restore(backup: Backup, live: Inventory) -> RestorePlan:
    """Compare a backup with what is live.

    Raises:
        RefusedError: a field differs that cannot be changed in a live object.
    """
    saved = sorted(backup.inventory.objects, key=_rank)
    steps = tuple(plan_step(each, live.find(reference_of(each))) for each in saved)
    held = {reference_of(each) for each in saved}
    return RestorePlan(steps, tuple(name_of(each) for each in live.objects if reference_of(each) not in held))


def _rank(manifest: Manifest) -> int:
    reference = reference_of(manifest)
    return ADDON_OBJECTS.index(reference) if reference in ADDON_OBJECTS else len(ADDON_OBJECTS)


def plan_step(saved: Manifest, live: Manifest | None) -> Restoration:
    """Compare one object of a backup with the live one.

    Raises:
        RefusedError: a field differs that cannot be changed in a live object.
    """
    wanted = strip_server_fields(saved)
    if live is None:
        return Restoration(wanted, True, ())
    _refuse_immutable(wanted, live)
    if live["kind"] == "ServiceAccount":
        # The token's Secret may be another one by now; its controller, not the operator, names it here.
        wanted = {**{key: each for key, each in wanted.items() if key != "secrets"}, **_part(live, "secrets")}
    changes = find_changes(strip_server_fields(live), wanted)
    version = {"resourceVersion": live["metadata"]["resourceVersion"]}
    return Restoration({**wanted, "metadata": {**wanted["metadata"], **version}}, False, changes)


def _part(manifest: Manifest, name: str) -> Manifest:
    return {name: manifest[name]} if name in manifest else {}


def _refuse_immutable(wanted: Manifest, live: Manifest) -> None:
    before, after = live, wanted
    for name in _IMMUTABLE.get(live["kind"], ()):
        before, after = before.get(name, {}), after.get(name, {})
    if live["kind"] in _IMMUTABLE and before != after:
        path = "." + ".".join(_IMMUTABLE[live["kind"]])
        raise RefusedError(
            f"{name_of(live)}: {path} differs from the backup, and the API server lets nobody change it",
            hint=f"delete {name_of(live)} first (for a DaemonSet with --cascade=orphan), then restore",
        )
