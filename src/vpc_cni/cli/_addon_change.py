"""Commands that ask EKS for a change and wait for it: create, update, delete. Each writes a record first."""

import sys
from dataclasses import replace
from typing import Annotated

import typer

from vpc_cni.cli._addon_options import (
    EndpointUrlOption,
    GraceOption,
    ModeOption,
    NameOption,
    NewRoleOption,
    NewValuesOption,
    ProfileOption,
    RecordsOption,
    RegionOption,
    TargetOption,
    WaitOption,
    YesOption,
)
from vpc_cni.cli._addon_session import Access, open_session
from vpc_cni.cli._addon_site import (
    WAIT_SECONDS,
    Report,
    create,
    look_before,
    refuse_early,
    require_settled,
    save,
    update_stepwise,
    wait_for,
)
from vpc_cni.cli._addon_view import request_document
from vpc_cni.cli._addon_wish import WishOptions, read_wish
from vpc_cni.cli._self_managed_options import ContextOption, JsonOption, KubeconfigOption, pairs
from vpc_cni.cluster.applying import Mode
from vpc_cni.errors import RefusedError
from vpc_cni.lifecycle.watching import Limits, watch_deletion
from vpc_cni.manifests import packaged_catalogue


def create_addon(
    *,
    cluster_name: NameOption = "",
    version: TargetOption = "default",
    role_arn: NewRoleOption = "",
    values: NewValuesOption = "",
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="Of the add-on in EKS; repeatable.")
    ] = None,
    resolve_conflicts: ModeOption = Mode.NONE,
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
    """Let EKS install and manage the add-on, and wait until it runs."""
    access = Access(cluster_name, region, profile, endpoint_url, kubeconfig, context)
    with open_session(access) as session:
        site = look_before(session, Limits(timeout, grace), records)
        if site.seen.addon is not None:
            raise RefusedError(
                f"EKS has the add-on: {site.seen.addon.version}", hint="`vpc-cni addon update` changes it"
            )
        options = WishOptions(version, role_arn, values=values, mode=resolve_conflicts)
        wish = read_wish(options, None, site.offered(), site.cluster, packaged_catalogue())
        change = replace(wish.change, tags=pairs(tag, "--tag"))
        refuse_early(site, change, packaged_catalogue())
        report = Report({"record": save(site), "request": request_document(change)})
        judgement = create(site, change)
    report.end(judgement, f"the creation of {change.version}", timeout, as_json=as_json)


def update_addon(
    *,
    cluster_name: NameOption = "",
    version: TargetOption = "",
    role_arn: NewRoleOption = "",
    no_role: Annotated[bool, typer.Option("--no-role", help="Take the role away: that of the node counts.")] = False,
    values: NewValuesOption = "",
    reset_values: Annotated[bool, typer.Option("--reset-values", help="Take all configuration values away.")] = False,
    resolve_conflicts: ModeOption = Mode.NONE,
    direct: Annotated[bool, typer.Option("--direct", help="At once, not one minor version at a time.")] = False,
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
    """Change version, role or values, and wait. What is not named stays: all of it is sent again.

    Over several minor versions it goes step by step, and stops where a step does not end well.
    """
    options = WishOptions(version, role_arn, no_role, values, reset_values, direct, resolve_conflicts)
    with open_session(Access(cluster_name, region, profile, endpoint_url, kubeconfig, context)) as session:
        site = look_before(session, Limits(timeout, grace), records)
        current = require_settled(site)
        wish = read_wish(options, current, site.offered(), site.cluster, packaged_catalogue())
        refuse_early(site, wish.change, packaged_catalogue())
        report = Report({"record": save(site), "request": request_document(wish.change), "steps": []})
        judgement = update_stepwise(site, wish.change, wish.steps, report.document["steps"])
    report.end(judgement, f"the update to {wish.change.version}", timeout, as_json=as_json)


def delete_addon(
    *,
    cluster_name: NameOption = "",
    destroy_objects: Annotated[
        bool,
        typer.Option("--destroy-objects", help="Delete the add-on from the cluster too: pods start no more."),
    ] = False,
    yes: YesOption = False,
    region: RegionOption = "",
    profile: ProfileOption = "",
    endpoint_url: EndpointUrlOption = "",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    records: RecordsOption = "",
    timeout: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Let EKS forget the add-on. Its objects stay in the cluster and go on working, unless --destroy-objects is given.

    With it new pods get no address and nodes become not ready; so the cluster's name must be typed, or --yes given.
    """
    with open_session(Access(cluster_name, region, profile, endpoint_url, kubeconfig, context)) as session:
        site = look_before(session, Limits(timeout), records)
        require_settled(site)
        if destroy_objects and not yes:
            confirm_destruction(cluster_name)
        report = Report({"record": save(site), "preserve": not destroy_objects})
        session.eks.delete(preserve=not destroy_objects)
        judgement = wait_for(watch_deletion(session.eks), site.limits)
    report.end(judgement, "the deletion", timeout, as_json=as_json)


def confirm_destruction(cluster_name: str) -> None:
    """Ask for the cluster's name.

    Raises:
        RefusedError: it was not typed.
    """
    if not sys.stdin.isatty():
        raise RefusedError("nobody confirmed that the add-on is deleted from the cluster", hint="give --yes")
    typer.echo("New pods will get no address, and nodes become not ready. Pods that run keep theirs.", err=True)
    if typer.prompt("Type the cluster's name", err=True) != cluster_name:
        raise RefusedError("the name is another one; nothing was changed")
