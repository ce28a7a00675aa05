"""Commands that change an installation: apply and restore."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from vpc_cni.cli._change_view import conflict_lines
from vpc_cni.cli._self_managed_look import save_backup
from vpc_cni.cli._self_managed_options import (
    CatalogueOption,
    ClusterNameOption,
    ContextOption,
    DigestOption,
    DryRunOption,
    EksRegionOption,
    EndpointOption,
    EnvOption,
    JsonOption,
    KubeconfigOption,
    LiveImageSetOption,
    LiveRegistryOption,
    ManagedOption,
    RoleOption,
    TimeoutOption,
    ValuesOption,
    VersionOption,
    print_notes,
    read_text,
)
from vpc_cni.cli._self_managed_session import Access, Session, open_session
from vpc_cni.cli._self_managed_view import plan_document, plan_lines, restore_document, restore_lines
from vpc_cni.cli._self_managed_wish import WishOptions, plan_for
from vpc_cni.cluster import Conflict, Inventory, Progress
from vpc_cni.errors import FieldConflictError, RefusedError
from vpc_cni.manifests import name_of
from vpc_cni.self_managed import (
    RestorePlan,
    UpdatePlan,
    parse_backup,
    plan_restore,
    refuse_unless_self_managed,
)
from vpc_cni.self_managed.flow import (
    apply_restore,
    apply_update,
    conflicts_of,
    read_installation,
    try_update,
    wait_for_rollout,
)

_ROLLOUT_SECONDS = 600.0
RepairOption = Annotated[
    bool, typer.Option("--repair", help="Mend variables that make the API server refuse every apply, too.")
]
ForceOption = Annotated[bool, typer.Option("--force-conflicts", help="Take over fields that other managers own.")]
FolderOption = Annotated[Path, typer.Option(metavar="FOLDER", help="Where the backup of the state before goes.")]


def apply_version(
    *,
    version: VersionOption = "",
    image_set: LiveImageSetOption = None,
    registry: LiveRegistryOption = "",
    values: ValuesOption = "",
    env: EnvOption = None,
    role_arn: RoleOption = "",
    digest: DigestOption = None,
    catalogue: CatalogueOption = None,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    cluster_name: ClusterNameOption = "",
    region: EksRegionOption = "",
    endpoint_url: EndpointOption = "",
    backup_folder: FolderOption = Path(),
    dry_run: DryRunOption = False,
    force_conflicts: ForceOption = False,
    mend: RepairOption = False,
    even_if_managed: ManagedOption = False,
    timeout: TimeoutOption = _ROLLOUT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Show what changes, back up, apply on the server's side, and wait for the roll-out.

    Settings of the live installation are taken over. Nothing is changed when other managers own fields that differ.
    """
    wish = WishOptions(version, image_set, registry, values, env, role_arn, digest, catalogue)
    with open_session(Access(kubeconfig, context, cluster_name, region, endpoint_url)) as session:
        refuse_unless_self_managed(session.detection, even_if_managed=even_if_managed)
        live = read_installation(session.cluster)
        plan = plan_for(session, live, wish)
        _show(plan, as_json=as_json)
        _check_repairs(plan, allowed=mend)
        trials = try_update(session.cluster, plan)
        conflicts = conflicts_of((each.plan for each in trials), plan)
        if as_json and not force_conflicts and conflicts:
            _end(plan, conflicts, (), as_json=True)
        _judge(conflicts, force=force_conflicts)
        if dry_run:
            _end(plan, conflicts, (), as_json=as_json)
            return
        _save(session, live, backup_folder)
        applied: list[str] = []
        apply_update(
            session.cluster,
            plan,
            trials,
            time,
            force=force_conflicts,
            report=lambda each: applied.append(str(name_of(each))),
        )
        _end(plan, conflicts, tuple(applied), as_json=as_json)
        wait_for_rollout(session.cluster, time, timeout, _print_rollout)


def _show(plan: UpdatePlan, *, as_json: bool) -> None:
    print_notes([*plan.notes, *(f"{each} stays" for each in plan.left)])
    if not as_json:
        typer.echo("\n".join(plan_lines(plan)))


def _save(session: Session, live: Inventory, folder: Path) -> None:
    """Write a backup where there is something to back up, before the first change."""
    if live.objects:
        _print_progress(f"backup: {save_backup(session, live, folder)[0]}")


def _check_repairs(plan: UpdatePlan, *, allowed: bool) -> None:
    reasons = [each.reason for each in plan.repairs]
    if reasons and not allowed:
        raise RefusedError(
            "\n  ".join(["the live DaemonSet cannot be applied to:", *reasons]),
            hint="--repair mends that in the same write",
        )
    print_notes(f"to be mended: {each}" for each in reasons)


def _judge(conflicts: Iterable[Conflict], *, force: bool) -> None:
    """Say which fields are taken over.

    Raises:
        FieldConflictError: others own fields that would change, and they are not to be taken over.
    """
    found = tuple(conflicts)
    if found and not force:
        raise FieldConflictError(
            "\n  ".join(["other managers own fields that would change:", *conflict_lines(found)]),
            hint="keep their values by --env or --values, or take the fields over by --force-conflicts",
        )
    taken = Counter((each.manager, str(each.object)) for each in found)
    print_notes(f"taken over from {manager}, fields of {name}: {count}" for (manager, name), count in taken.items())


def _end(plan: UpdatePlan, conflicts: tuple[Conflict, ...], applied: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({**plan_document(plan, conflicts), "applied": list(applied)}, indent=2))
    else:
        for name in applied:
            typer.echo(f"{name} applied")


def restore_backup(
    *,
    file: Annotated[str, typer.Argument(metavar="BACKUP", help="A file that `backup` or `apply` wrote.")],
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    cluster_name: ClusterNameOption = "",
    region: EksRegionOption = "",
    endpoint_url: EndpointOption = "",
    backup_folder: FolderOption = Path(),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and end.")] = False,
    even_if_managed: ManagedOption = False,
    timeout: TimeoutOption = _ROLLOUT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Bring every object of a backup back, after showing what that changes; wait for the roll-out."""
    backup = parse_backup(read_text(file), file)
    with open_session(Access(kubeconfig, context, cluster_name, region, endpoint_url)) as session:
        refuse_unless_self_managed(session.detection, even_if_managed=even_if_managed)
        live = read_installation(session.cluster)
        plan = plan_restore(backup, live)
        print_notes(f"{each} is not in the backup and stays" for each in plan.left)
        typer.echo(json.dumps(restore_document(plan), indent=2) if as_json else "\n".join(restore_lines(plan)))
        if dry_run or not any(step.is_needed for step in plan.steps):
            return
        _confirm(plan, yes=yes)
        _save(session, live, backup_folder)
        apply_restore(session.cluster, plan)
        wait_for_rollout(session.cluster, time, timeout, _print_rollout)


def _confirm(plan: RestorePlan, *, yes: bool) -> None:
    if yes:
        return
    count = sum(step.is_needed for step in plan.steps)
    if not sys.stdin.isatty():
        raise RefusedError("nobody confirmed the restore", hint="give --yes where nobody can be asked")
    if not typer.confirm(f"Restore {count} objects?", err=True):
        raise RefusedError("not confirmed; nothing was changed")


def _print_rollout(progress: Progress) -> None:
    _print_progress(f"roll-out: {progress}")


def _print_progress(line: str) -> None:
    typer.echo(line, err=True)
