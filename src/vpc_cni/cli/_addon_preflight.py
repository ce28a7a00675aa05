"""``vpc-cni addon preflight``: what is known to go wrong, before EKS is asked."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from vpc_cni.cli._addon_options import (
    EndpointUrlOption,
    NameOption,
    NewRoleOption,
    NewValuesOption,
    ProfileOption,
    RegionOption,
    TargetOption,
)
from vpc_cni.cli._addon_session import Access, Session, look, open_session
from vpc_cni.cli._addon_view import show
from vpc_cni.cli._addon_wish import WishOptions, read_wish
from vpc_cni.cli._self_managed_options import (
    CatalogueOption,
    ContextOption,
    JsonOption,
    KubeconfigOption,
    read_catalogue,
)
from vpc_cni.errors import ConfigurationError, RefusedError
from vpc_cni.lifecycle.preflight.cluster import check_server
from vpc_cni.lifecycle.preflight.finding import Finding, Level, skipped
from vpc_cni.lifecycle.preflight.versions import (
    check_cluster,
    check_path,
    check_pod_identity,
    check_settled,
    check_values,
    check_version,
)
from vpc_cni.lifecycle.records import EksCluster
from vpc_cni.manifests import Catalogue, parse_kubernetes_version

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "bold red", Level.SKIPPED: "dim"}


def run_preflight(
    *,
    cluster_name: NameOption = "",
    version: TargetOption = "",
    role_arn: NewRoleOption = "",
    no_role: Annotated[bool, typer.Option("--no-role", help="As with `update`.")] = False,
    values: NewValuesOption = "",
    reset_values: Annotated[bool, typer.Option("--reset-values", help="As with `update`.")] = False,
    direct: Annotated[bool, typer.Option("--direct", help="As with `update`.")] = False,
    catalogue: CatalogueOption = None,
    region: RegionOption = "",
    profile: ProfileOption = "",
    endpoint_url: EndpointUrlOption = "",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    as_json: JsonOption = False,
) -> None:
    """Check cluster, version, path, values, role, trust, permissions, rights of EKS and nodes; changes nothing.

    Ends with status 4 when a check fails. Options that are not given: as EKS has it.
    """
    options = WishOptions(version, role_arn, no_role, values, reset_values, direct)
    with open_session(Access(cluster_name, region, profile, endpoint_url, kubeconfig, context)) as session:
        findings = tuple(_look(session, options, read_catalogue(catalogue)))
    document = {"findings": [asdict(each) for each in findings]}
    show(document, _people(findings), as_json=as_json)
    failures = [each.check for each in findings if each.level is Level.FAILED]
    if failures:
        raise RefusedError(f"checks failed: {', '.join(failures)}", hint="the remedies are in the table")


def _look(session: Session, options: WishOptions, catalogue: Catalogue) -> Iterator[Finding]:
    cluster, addon = session.eks.cluster(), look(session).addon
    offers = session.eks.offers(cluster.version)
    wish = read_wish(options, addon, offers, cluster, catalogue)
    change, offered = wish.change, {each.version for each in offers}
    yield check_cluster(cluster)
    yield check_settled(addon)
    yield check_version(change.version, offered, cluster, catalogue)
    yield check_path(wish.steps, addon)
    stored = addon.configuration_values if addon else None
    schema = session.eks.find_schema(change.version) if change.configuration_values or stored else None
    yield check_values("values", change.configuration_values, change.version, cluster, catalogue, schema=schema)
    if change.configuration_values != stored and addon:
        yield check_values("stored values", stored, change.version, cluster, catalogue, schema=schema)
    yield check_pod_identity(change.version, len(addon.association_arns) if addon else 0)
    associated = next((each.role_arn for each in session.eks.associations(addon)), "") if addon else ""
    yield from _look_outside(session, cluster, change.role_arn, change.version, associated)


def _look_outside(
    session: Session, cluster: EksCluster, role_arn: str, version: str, associated: str
) -> Iterator[Finding]:
    """Look at IAM and at the cluster itself; both clients come with an extra, which the session has found."""
    from vpc_cni.lifecycle.iam import Iam  # noqa: PLC0415
    from vpc_cni.lifecycle.preflight.gathering import look_at_cluster, look_at_roles  # noqa: PLC0415

    yield from look_at_roles(Iam(session.access), cluster, role_arn, version, associated)
    yield _server(session, cluster)
    if session.cluster is None:
        yield skipped("rights of EKS, pod security policy, nodes", session.failure, "give --kubeconfig")
        return
    kubernetes = parse_kubernetes_version(session.kubernetes_version)
    yield from look_at_cluster(session.cluster, kubernetes, session.eks.fargate_profiles)


def _server(session: Session, cluster: EksCluster) -> Finding:
    from vpc_cni.cluster.client import read_server  # noqa: PLC0415 - as above

    try:
        return check_server(read_server(session.place).server, cluster)
    except ConfigurationError as err:
        return skipped("kubeconfig", err.message, err.hint)


def _people(findings: Iterable[Finding]) -> Iterator[RenderableType]:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "check", "found", "remedy"):
        table.add_column(name, overflow="fold")
    for each in findings:
        table.add_row(Text(each.level, style=_STYLES[each.level]), each.check, Text(each.detail), Text(each.remedy))
    yield table
