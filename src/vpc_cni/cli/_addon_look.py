"""Commands that look at the managed add-on and change nothing: status, versions, schema, history."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from vpc_cni.cli._addon_options import EndpointUrlOption, NameOption, ProfileOption, RecordsOption, RegionOption
from vpc_cni.cli._addon_session import Access, Look, Session, look, open_eks, open_session
from vpc_cni.cli._addon_view import (
    history_document,
    history_people,
    show,
    status_document,
    status_people,
    versions_document,
    versions_people,
)
from vpc_cni.cli._self_managed_options import (
    CatalogueOption,
    ContextOption,
    JsonOption,
    KubeconfigOption,
    read_catalogue,
)
from vpc_cni.errors import CallerError, DeviationError, KubernetesError, UnknownTypeError
from vpc_cni.lifecycle.journal import Record, read_records, records_folder
from vpc_cni.lifecycle.nodes import NODES, NodeCounts, count_nodes
from vpc_cni.lifecycle.versions import choose_version, list_versions
from vpc_cni.manifests import packaged_catalogue
from vpc_cni.self_managed import AddonType

_KubernetesOption = Annotated[
    str, typer.Option("--kubernetes-version", metavar="VERSION", help="Of a cluster that need not exist, such as 1.29.")
]


def show_status(
    *,
    cluster_name: NameOption = "",
    region: RegionOption = "",
    profile: ProfileOption = "",
    endpoint_url: EndpointUrlOption = "",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with status 8 when it is not ACTIVE, or not what EKS says.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say who manages the add-on, its version, health and settings, and what the cluster runs."""
    access = Access(cluster_name, region, profile, endpoint_url, kubeconfig, context)
    with open_session(access) as session:
        cluster, found, nodes = session.eks.cluster(), look(session), _count(session)
        installed = found.addon.version if found.addon else ""
        rows = list_versions(session.eks.offers(cluster.version), packaged_catalogue(), installed, cluster.version)
    document = status_document(found, cluster, rows, nodes)
    show(document, status_people(document, nodes), as_json=as_json)
    if found.detection.type is AddonType.UNKNOWN:
        raise UnknownTypeError("who manages the add-on is not known", hint=found.detection.hint)
    if exit_code and not _is_well(found, document["deviations"]):
        raise DeviationError("the add-on is not ACTIVE, or not what EKS says")


def _count(session: Session) -> NodeCounts | None:
    """Count the nodes; None where they cannot be read."""
    if session.cluster is None:
        return None
    try:
        return count_nodes(session.cluster.list(NODES))
    except KubernetesError:
        return None


def _is_well(found: Look, deviations: list[str]) -> bool:
    return found.addon is not None and found.addon.status == "ACTIVE" and not found.addon.issues and not deviations


def show_versions(
    *,
    cluster_name: NameOption = "",
    kubernetes_version: _KubernetesOption = "",
    region: RegionOption = "",
    profile: ProfileOption = "",
    endpoint_url: EndpointUrlOption = "",
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the versions that EKS offers to a cluster, newest first, and what each changed."""
    eks, _ = open_eks(Access(cluster_name, region, profile, endpoint_url))
    kubernetes, installed = kubernetes_version, ""
    if cluster_name:
        kubernetes = kubernetes or eks.cluster().version
        addon = eks.find_addon()
        installed = addon.version if addon else ""
    rows = list_versions(eks.offers(kubernetes), read_catalogue(catalogue), installed, kubernetes)
    show(versions_document(rows, kubernetes), versions_people(rows), as_json=as_json)


def show_schema(
    *,
    version: Annotated[
        str, typer.Option("--version", metavar="VERSION", help="Else that of the cluster's add-on.")
    ] = "",
    cluster_name: NameOption = "",
    region: RegionOption = "",
    profile: ProfileOption = "",
    endpoint_url: EndpointUrlOption = "",
) -> None:
    """Print the JSON schema of a version's configuration values, as EKS has it."""
    eks, _ = open_eks(Access(cluster_name, region, profile, endpoint_url))
    if not version and not cluster_name:
        raise CallerError("which version is not said", hint="give --version, or --cluster-name for that of its add-on")
    addon = eks.find_addon() if cluster_name and not version else None
    if addon is None:
        kubernetes = eks.cluster().version if cluster_name else ""
        chosen = choose_version(version or "default", eks.offers(kubernetes), kubernetes)
    else:
        chosen = addon.version
    typer.echo(json.dumps(json.loads(eks.schema(chosen)), indent=2))


def show_history(
    *,
    cluster_name: NameOption = "",
    region: RegionOption = "",
    profile: ProfileOption = "",
    endpoint_url: EndpointUrlOption = "",
    records: RecordsOption = "",
    as_json: JsonOption = False,
) -> None:
    """List the updates that EKS knows of, and the records before each change, oldest first."""
    if not cluster_name:
        raise CallerError("--cluster-name is missing")
    eks, _ = open_eks(Access(cluster_name, region, profile, endpoint_url))
    cluster = eks.cluster()
    updates = [eks.describe_update(each) for each in eks.update_ids()] if eks.find_addon() else []
    updates.sort(key=lambda each: each.created_at or datetime.min.replace(tzinfo=UTC))
    saved = read_records(records_folder(os.environ, Path.home(), cluster, records))
    document = history_document(updates, map(_record_document, saved))
    show(document, history_people(document), as_json=as_json)


def _record_document(record: Record) -> dict[str, Any]:
    addon = record.addon
    return {
        "file": str(record.file),
        "taken_at": record.backup.taken_at.isoformat(timespec="seconds"),
        "type": record.backup.addon_type,
        "version": addon.version if addon else None,
        "status": addon.status if addon else None,
        "objects": len(record.backup.inventory.objects),
    }
