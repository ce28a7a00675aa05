"""Commands that carry settings over: backup, restore, adopt, release and rollback."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from vpc_cni.cli._addon_options import (
    EndpointUrlOption,
    GraceOption,
    NameOption,
    NewRoleOption,
    ProfileOption,
    RecordsOption,
    RegionOption,
    TargetOption,
    WaitOption,
)
from vpc_cni.cli._addon_session import Access, open_session
from vpc_cni.cli._addon_site import (
    WAIT_SECONDS,
    Report,
    Site,
    create,
    look_before,
    progress,
    refuse_early,
    require_settled,
    save,
    update_stepwise,
    wait_for,
)
from vpc_cni.cli._addon_view import request_document, show, translation_document, translation_people
from vpc_cni.cli._self_managed_options import (
    CatalogueOption,
    ContextOption,
    JsonOption,
    KubeconfigOption,
    print_notes,
    read_catalogue,
    read_text,
)
from vpc_cni.cluster import Inventory
from vpc_cni.cluster.applying import Mode
from vpc_cni.cluster.installed import plain_form
from vpc_cni.cluster.inventory import reference_of
from vpc_cni.errors import CallerError, RefusedError
from vpc_cni.lifecycle.estimates import estimate_lines, estimate_of
from vpc_cni.lifecycle.journal import Record, find_newest, identify, parse_record, records_folder
from vpc_cni.lifecycle.outcomes import End, Judgement
from vpc_cni.lifecycle.putting_back import find_lost, plan_putting_back
from vpc_cni.lifecycle.records import UNDER_WAY, Association
from vpc_cni.lifecycle.requests import Change, plan_rollback
from vpc_cni.lifecycle.translation import Translation, translate
from vpc_cni.lifecycle.versions import choose_version
from vpc_cni.lifecycle.watching import Limits, watch_deletion
from vpc_cni.manifests import Catalogue, find_changes, packaged_catalogue, parse_addon_version, strip_server_fields
from vpc_cni.self_managed import AddonType, Setting, find_installed
from vpc_cni.self_managed.carrying import take_over
from vpc_cni.self_managed.flow import read_installation
from vpc_cni.self_managed.kept import find_settings

_DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the translation, and end.")]


@dataclass(frozen=True, slots=True)
class Carried:
    """Settings of an installation: all of them, how EKS is told, and the role that they name."""

    settings: tuple[Setting, ...]
    translation: Translation
    role_arn: str


def back_up(
    *,
    cluster_name: NameOption = "",
    region: RegionOption = "",
    profile: ProfileOption = "",
    endpoint_url: EndpointUrlOption = "",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    records: RecordsOption = "",
    as_json: JsonOption = False,
) -> None:
    """Save what EKS has and all objects, and say which settings configuration values could express."""
    with open_session(Access(cluster_name, region, profile, endpoint_url, kubeconfig, context)) as session:
        site = look_before(session, Limits(0), records)
        live = read_installation(session.require_cluster())
        if not live.objects:
            raise RefusedError("there is nothing to back up: the cluster has no object of the add-on")
        version = site.seen.addon.version if site.seen.addon else ""
        found = _carry(live, version or _release_of(site, live), site, packaged_catalogue())
        document = {"record": save(site), **translation_document(found.translation)}
    show(document, translation_people(found.translation), as_json=as_json)


def restore(
    *,
    file: Annotated[str, typer.Argument(metavar="RECORD", help="A record, or a self-managed backup.")],
    cluster_name: NameOption = "",
    version: TargetOption = "",
    dry_run: _DryRunOption = False,
    catalogue: CatalogueOption = None,
    region: RegionOption = "",
    profile: ProfileOption = "",
    endpoint_url: EndpointUrlOption = "",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    records: RecordsOption = "",
    timeout: WaitOption = WAIT_SECONDS,
    grace: GraceOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Give the add-on the settings of a backup: as configuration values, and beside EKS what those cannot express."""
    saved = parse_record(read_text(file), Path(file))
    known = read_catalogue(catalogue)
    with open_session(Access(cluster_name, region, profile, endpoint_url, kubeconfig, context)) as session:
        session.require_cluster()
        site = look_before(session, Limits(timeout, grace), records)
        current = site.seen.addon
        target = _choose(site, version or (current.version if current else "default"))
        found = _carry(saved.backup.inventory, target, site, known)
        change = Change(
            version=target,
            mode=Mode.OVERWRITE,
            role_arn=found.role_arn or (current.role_arn if current else ""),
            configuration_values=found.translation.text or "{}",
            associations=_associations_of(saved, site) if current is None else None,
        )
        report = Report({"request": request_document(change), **translation_document(found.translation)})
        if dry_run:
            show(report.document, translation_people(found.translation), as_json=as_json)
            return
        judgement = _carry_out(site, change, found.settings, report, known)
    report.end(judgement, f"the restoration with {change.version}", timeout, as_json=as_json)


def adopt(
    *,
    cluster_name: NameOption = "",
    version: TargetOption = "",
    role_arn: NewRoleOption = "",
    dry_run: _DryRunOption = False,
    catalogue: CatalogueOption = None,
    region: RegionOption = "",
    profile: ProfileOption = "",
    endpoint_url: EndpointUrlOption = "",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    records: RecordsOption = "",
    timeout: WaitOption = WAIT_SECONDS,
    grace: GraceOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Let EKS manage an installation that is self-managed, with the settings that it has.

    Without --version it is the newest build of the release that runs, where that is offered, else the default.
    """
    known = read_catalogue(catalogue)
    with open_session(Access(cluster_name, region, profile, endpoint_url, kubeconfig, context)) as session:
        live = read_installation(session.require_cluster())
        site = look_before(session, Limits(timeout, grace), records)
        if site.seen.detection.type is not AddonType.SELF_MANAGED:
            raise RefusedError(
                f"the add-on is {site.seen.detection.type}, not self-managed: {site.seen.detection.reason}",
                hint="`create` installs one, `update` changes a managed one",
            )
        target = (
            _release_of(site, live) if not version else choose_version(version, site.offered(), site.cluster.version)
        )
        found = _carry(live, target, site, known)
        change = Change(target, Mode.OVERWRITE, role_arn or found.role_arn, found.translation.text)
        report = Report({"request": request_document(change), **translation_document(found.translation)})
        if dry_run:
            show(report.document, translation_people(found.translation), as_json=as_json)
            return
        judgement = _carry_out(site, change, found.settings, report, known)
    report.end(judgement, f"the adoption with {target}", timeout, as_json=as_json)


def release(
    *,
    cluster_name: NameOption = "",
    region: RegionOption = "",
    profile: ProfileOption = "",
    endpoint_url: EndpointUrlOption = "",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    records: RecordsOption = "",
    timeout: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Let EKS forget the add-on, and see that every object stayed as it was: it is self-managed then."""
    with open_session(Access(cluster_name, region, profile, endpoint_url, kubeconfig, context)) as session:
        cluster = session.require_cluster()
        site = look_before(session, Limits(timeout), records)
        require_settled(site)
        report = Report({"record": save(site)})
        before = read_installation(cluster)
        session.eks.delete(preserve=True)
        judgement = wait_for(watch_deletion(session.eks), site.limits)
        changed = _differences(before, read_installation(cluster))
        report.document["changed_objects"] = list(changed)
        if changed:
            print_notes(f"{each} is not as it was: `vpc-cni self-managed restore` brings it back" for each in changed)
    report.end(judgement, "the release", timeout, as_json=as_json)


def roll_back(
    *,
    cluster_name: NameOption = "",
    record: Annotated[str, typer.Option("--record", metavar="FILE", help="Else the newest one of this cluster.")] = "",
    region: RegionOption = "",
    profile: ProfileOption = "",
    endpoint_url: EndpointUrlOption = "",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    records: RecordsOption = "",
    timeout: WaitOption = WAIT_SECONDS,
    grace: GraceOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Bring back the version, role, values and associations of a record, and settings that EKS does not manage."""
    with open_session(Access(cluster_name, region, profile, endpoint_url, kubeconfig, context)) as session:
        site = look_before(session, Limits(timeout, grace), records)
        current = require_settled(site)
        saved = _find_record(site, record)
        before = saved.addon
        if before is None:
            raise RefusedError(
                f"{saved.file}: EKS had no add-on then", hint="`release` gives it up, `restore` brings settings back"
            )
        if saved.cluster not in ("", identify(site.cluster)):
            raise RefusedError(
                f"{saved.file} is a record of cluster {saved.cluster}, not of {identify(site.cluster)}",
                hint="name one of this cluster by --record, or its cluster by --cluster-name and --region",
            )
        if saved.associations is None:
            print_notes([f"{saved.file} does not tell the roles of pod identity associations: they stay as they are"])
        change = plan_rollback(before, saved.associations, current)
        inventory = saved.backup.inventory
        settings = _carry(inventory, before.version, site, packaged_catalogue()).settings if inventory.objects else ()
        report = Report({"from": str(saved.file), "request": request_document(change)})
        judgement = _carry_out(site, change, settings, report, packaged_catalogue())
    report.end(judgement, f"the rollback to {change.version}", timeout, as_json=as_json)


def _find_record(site: Site, file: str) -> Record:
    if not file:
        return find_newest(records_folder(os.environ, Path.home(), site.cluster, site.records), site.cluster)
    return parse_record(read_text(file), Path(file))


def _associations_of(saved: Record, site: Site) -> tuple[Association, ...] | None:
    """Return the associations that a new add-on gets again; None for none, as for those of another cluster.

    Those that outlived the add-on are left out: EKS creates no second one, and they go on working.
    """
    if saved.cluster != identify(site.cluster):
        return None
    found = saved.associations or ()
    return tuple(each for each in found if not site.session.eks.is_associated(each.service_account)) or None


def _choose(site: Site, asked: str) -> str:
    return choose_version(asked, site.offered(), site.cluster.version)


def _release_of(site: Site, live: Inventory) -> str:
    """Return the offered build of the release that runs; the default where there is none."""
    installed = find_installed(live.daemon_set or {}).version
    try:
        return _choose(site, str(installed.release) if installed else "default")
    except CallerError:
        return _choose(site, "default")


def _carry(live: Inventory, version: str, site: Site, catalogue: Catalogue) -> Carried:
    """Return the settings of an installation, translated for a version; EKS says what it takes."""
    found = catalogue.approximate(parse_addon_version(version))
    base, notes = plain_form(live, catalogue, found.profile)
    print_notes(notes)
    estimate = estimate_of(found, catalogue, {})
    if estimate is not None:
        print_notes(estimate_lines(estimate))
    carried, settings = take_over(live, base), find_settings(live, base, (), ())
    translation = translate(carried, settings, found.profile, site.session.eks.find_schema(version))
    return Carried(settings, translation, carried.role_arn)


def _carry_out(
    site: Site,
    change: Change,
    settings: Iterable[Setting],
    report: Report,
    catalogue: Catalogue,
) -> Judgement:
    """Ask EKS, wait, and put back beside it which settings are gone then."""
    if site.seen.addon is not None and site.seen.addon.status in UNDER_WAY:
        raise RefusedError(f"the add-on is {site.seen.addon.status}, and EKS refuses changes meanwhile")
    refuse_early(site, change, catalogue)
    report.document["record"] = save(site)
    if site.seen.addon is None:
        judgement = create(site, change)
    else:
        judgement = update_stepwise(site, change, (change.version,), report.document.setdefault("steps", []))
    if judgement.end in (End.DONE, End.DEGRADED) and site.session.cluster is not None:
        report.document["put_back"] = list(_put_back(site, settings))
    return judgement


def _put_back(site: Site, settings: Iterable[Setting]) -> Iterable[Mapping[str, Any]]:
    cluster = site.session.require_cluster()
    after = read_installation(cluster)
    lost = find_lost(settings, after)
    for manifest in plan_putting_back(lost, after):
        cluster.apply(manifest, force=True)
    if lost:
        progress(f"put back beside EKS: {len(lost)} settings; give --resolve-conflicts PRESERVE to later updates")
    return [asdict(each.setting) for each in lost]


def _differences(before: Inventory, after: Inventory) -> tuple[str, ...]:
    """Return the names of objects that are gone or changed."""
    return tuple(
        str(reference_of(each))
        for each in before.objects
        if (left := after.find(reference_of(each))) is None
        or find_changes(strip_server_fields(each), strip_server_fields(left))
    )
