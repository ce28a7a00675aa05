"""How the self-managed flow is shown: plain data for ``--json``, lines for people. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vpc_cni.cli._change_view import change_lines, shown
from vpc_cni.cluster import Conflict, judge_rollout
from vpc_cni.manifests import Change, name_of
from vpc_cni.self_managed import (
    Backup,
    Check,
    Detection,
    EksAnswer,
    RestorePlan,
    Setting,
    Sighting,
    UpdatePlan,
    find_installed,
)

# Longer findings of a check have a line each.
_LINE_CHARACTERS = 78


def status_document(detection: Detection, sighting: Sighting, eks: EksAnswer, kubernetes: str) -> dict[str, Any]:
    """Return the status of an installation; what is not known is null."""
    live = sighting.daemon_set
    installed = find_installed(live) if live else None
    progress = judge_rollout(live) if live else None
    return {
        "type": str(detection.type),
        "reason": detection.reason,
        "broken": detection.broken,
        "origin": detection.origin or None,
        "version": str(installed.version) if installed and installed.version else None,
        "image": str(installed.image) if installed and installed.image else None,
        "images": dict(installed.images) if installed else {},
        "kubernetes_version": kubernetes or None,
        "rollout": progress
        and {
            "done": progress.is_done,
            "desired": progress.desired,
            "updated": progress.updated,
            "available": progress.available,
            "unavailable": progress.unavailable,
        },
        "eks": {
            "answer": str(eks.verdict),
            "reason": eks.reason or None,
            "version": eks.addon.get("addonVersion"),
            "status": eks.addon.get("status"),
            "health_issues": [
                f"{each.get('code')}: {each.get('message')}" for each in eks.addon.get("health", {}).get("issues", ())
            ],
        },
    }


def status_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a status, each a word and what is known of it."""
    origin = f", by {document['origin']}" if document["origin"] else ""
    yield f"type        {document['type']}{origin}"
    yield f"because     {document['reason']}"
    yield f"version     {document['version'] or 'not known'}"
    yield f"kubernetes  {document['kubernetes_version'] or 'not known'}"
    for name, image in document["images"].items():
        yield f"image       {name}: {image}"
    if document["rollout"]:
        state = document["rollout"]
        counts = f"{state['updated']} of {state['desired']} updated, {state['available']} available"
        yield f"roll-out    {'done' if state['done'] else 'not done'}: {counts}"
    if document["eks"]["status"]:
        yield f"EKS         {document['eks']['version']} {document['eks']['status']}"
    for issue in document["eks"]["health_issues"]:
        yield f"EKS         {issue}"


def backup_document(file: str, backup: Backup) -> dict[str, Any]:
    return {
        "file": file,
        "taken_at": backup.taken_at.isoformat(),
        "addon_type": backup.addon_type,
        "objects": [str(name_of(each)) for each in backup.inventory.objects],
        "eks_addon": bool(backup.eks_addon),
    }


def plan_document(plan: UpdatePlan, conflicts: Iterable[Conflict] = ()) -> dict[str, Any]:
    """Return an update as data."""
    return {
        "version": str(plan.profile.version),
        "image_set": str(plan.image_set),
        "objects": [
            {"object": str(each.name), "new": each.is_new, "changes": [change_document(one) for one in each.changes]}
            for each in plan.changes
        ],
        "removed": list(plan.removals),
        "left": [str(each) for each in plan.left],
        "settings_taken_over": {"env": dict(plan.carried.env), "init_env": dict(plan.carried.configuration.init_env)},
        "settings": [
            {"object": str(each.object), "path": each.path, "value": each.value, "kept": each.is_kept}
            for each in plan.settings
        ],
        "repairs": [each.reason for each in plan.repairs],
        "conflicts": [conflict_document(each) for each in conflicts],
        "notes": list(plan.notes),
    }


def change_document(change: Change) -> dict[str, Any]:
    return {"path": change.path, "kind": str(change.kind), "before": change.before, "after": change.after}


def conflict_document(conflict: Conflict) -> dict[str, Any]:
    return {
        "object": str(conflict.object),
        "path": conflict.path,
        "manager": conflict.manager,
        "operation": conflict.operation,
        "live": conflict.live,
        "wanted": conflict.wanted,
    }


def differs(plan: UpdatePlan) -> bool:
    return bool(plan.removals) or any(each.is_new or each.changes for each in plan.changes)


def plan_lines(plan: UpdatePlan) -> Iterator[str]:
    """Yield an update as a list of fields; one line when nothing differs."""
    if not differs(plan):
        yield "no difference"
    for each in plan.changes:
        if each.is_new:
            yield f"{each.name}: new"
        elif each.changes:
            yield f"{each.name}:"
            yield from (f"  {line}" for change in each.changes for line in change_lines(change))
    for path in plan.removals:
        yield f"  - {path}"
    yield from setting_lines(plan.settings)


def setting_lines(settings: Iterable[Setting]) -> Iterator[str]:
    """Yield the live settings, those that an update changes first."""
    for title, kept in (("settings that change:", False), ("settings that stay:", True)):
        found = [each for each in settings if each.is_kept is kept]
        if found:
            yield title
        yield from (f"  {each.object.kind} {each.path}: {shown(each.value)}" for each in found)


def restore_document(plan: RestorePlan) -> dict[str, Any]:
    return {
        "objects": [
            {
                "object": str(name_of(each.manifest)),
                "new": each.is_new,
                "changes": [change_document(one) for one in each.changes],
            }
            for each in plan.steps
        ],
        "left": [str(each) for each in plan.left],
    }


def restore_lines(plan: RestorePlan) -> Iterator[str]:
    if not any(each.is_needed for each in plan.steps):
        yield "no difference"
    for each in plan.steps:
        name = name_of(each.manifest)
        if each.is_new:
            yield f"{name}: new"
        elif each.changes:
            yield f"{name}:"
            yield from (f"  {line}" for change in each.changes for line in change_lines(change))


def check_lines(checks: Iterable[Check]) -> Iterator[str]:
    for each in checks:
        line = f"{each.outcome:<8} {each.name}: {each.detail}"
        if len(line) <= _LINE_CHARACTERS:
            yield line
            continue
        yield f"{each.outcome:<8} {each.name}:"
        yield from (f"           {finding}" for finding in each.detail.split("; "))
