"""How the managed add-on is shown: plain data for ``--json``, Rich tables for people. Pure but for :func:`show`."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from vpc_cni.cli._addon_session import Look
from vpc_cni.cli._change_view import shown
from vpc_cni.cluster import judge_rollout
from vpc_cni.lifecycle.nodes import NodeCounts
from vpc_cni.lifecycle.outcomes import Judgement, parse_conflicts
from vpc_cni.lifecycle.records import EksCluster, Update
from vpc_cni.lifecycle.requests import Change
from vpc_cni.lifecycle.translation import Translation
from vpc_cni.lifecycle.versions import VersionRow
from vpc_cni.self_managed import find_installed

_WIDTH_OF_FILES = 160
_GOOD, _BAD, _BUSY = "green", "bold red", "yellow"
_STYLES = {
    "ACTIVE": _GOOD,
    "Successful": _GOOD,
    "InProgress": _BUSY,
    "CREATING": _BUSY,
    "UPDATING": _BUSY,
    "DELETING": _BUSY,
}


def show(document: Mapping[str, Any], people: Iterable[RenderableType], *, as_json: bool) -> None:
    """Print a document, or what people read, to standard output."""
    if as_json:
        typer.echo(json.dumps(document, indent=2))
        return
    # In a pipe there is no width to fit into: lines stay whole where they can.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)
    for each in people:
        console.print(each)


def status_document(look: Look, cluster: EksCluster, versions: Iterable[VersionRow], nodes: NodeCounts | None) -> Any:
    """Return the status of the add-on; what is not known is null."""
    rows, addon, live = tuple(versions), look.addon, look.sighting.daemon_set
    return {
        "cluster": {
            "name": cluster.name,
            "kubernetes_version": cluster.version,
            "status": cluster.status,
            "ip_family": cluster.ip_family,
        },
        "type": str(look.detection.type),
        "reason": look.detection.reason,
        "addon": addon
        and {
            "version": addon.version,
            "status": addon.status,
            "issues": [{"code": each.code, "message": each.message} for each in addon.issues],
            "role_arn": addon.role_arn or None,
            "configuration_values": addon.configuration_values,
            "pod_identity_associations": list(addon.association_arns),
            "tags": dict(addon.tags),
            "created_at": _stamp(addon.created_at),
            "modified_at": _stamp(addon.modified_at),
        },
        "default_version": next((str(row.version) for row in rows if row.is_default), None),
        "newest_version": str(rows[0].version) if rows else None,
        "live": _live(live) if live else None,
        "live_failure": look.sighting.failure or None,
        "deviations": list(_deviations(look)),
        "nodes": nodes and {"ec2": nodes.ec2, "fargate": nodes.fargate, "auto": nodes.auto, "hybrid": nodes.hybrid},
    }


def _live(daemon_set: Mapping[str, Any]) -> dict[str, Any]:
    installed, progress = find_installed(dict(daemon_set)), judge_rollout(dict(daemon_set))
    return {
        "version": str(installed.version) if installed.version else None,
        "images": dict(installed.images),
        "rollout": {
            "done": progress.is_done,
            "desired": progress.desired,
            "updated": progress.updated,
            "available": progress.available,
        },
    }


def _deviations(look: Look) -> Iterable[str]:
    """Say in what the cluster is not what EKS says: after PRESERVE an old image may stay."""
    live, addon = look.sighting.daemon_set, look.addon
    if live is None or addon is None:
        return
    installed = find_installed(live)
    if str(installed.version) != addon.version:
        yield f"EKS says {addon.version}, the DaemonSet runs {installed.version or 'images without a version'}"


def status_people(document: Mapping[str, Any], nodes: NodeCounts | None) -> Iterable[RenderableType]:
    """Return the status as a table of what is known."""
    table, addon, live = _plain_table(), document["addon"], document["live"]
    cluster = document["cluster"]
    table.add_row("cluster", f"{cluster['name']}, Kubernetes {cluster['kubernetes_version']}, {cluster['ip_family']}")
    table.add_row("add-on", f"{document['type']}: {document['reason']}")
    if addon:
        table.add_row("version", addon["version"])
        table.add_row("status", status_text(addon["status"]))
        for each in addon["issues"]:
            table.add_row("issue", Text(f"{each['code']}: {each['message']}", style=_BAD))
        table.add_row("role", addon["role_arn"] or "that of the node")
        table.add_row("values", addon["configuration_values"] or "none")
    table.add_row("offered", f"default {document['default_version']}, newest {document['newest_version']}")
    if live:
        state = live["rollout"]
        said = f"{state['updated']} of {state['desired']} pods updated, {state['available']} available"
        table.add_row("live", f"{live['version'] or 'no version in the image'}; {said}")
    elif document["live_failure"]:
        table.add_row("live", f"not seen: {document['live_failure']}")
    for each in document["deviations"]:
        table.add_row("deviation", Text(each, style=_BAD))
    if nodes:
        table.add_row("nodes", str(nodes))
    yield table


def versions_document(rows: Iterable[VersionRow], kubernetes: str) -> dict[str, Any]:
    return {
        "kubernetes_version": kubernetes or None,
        "versions": [
            {
                "version": str(row.version),
                "default": row.is_default,
                "installed": row.is_installed,
                "clusters": list(row.clusters),
                "architectures": list(row.architectures),
                "changes": list(row.changes),
                "warning": row.warning or None,
            }
            for row in rows
        ],
    }


def versions_people(rows: Iterable[VersionRow]) -> Iterable[RenderableType]:
    """Return versions as a table, newest first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("version", "", "what changed"):
        table.add_column(name, overflow="fold")
    for row in rows:
        marks = [word for word, is_so in (("default", row.is_default), ("installed", row.is_installed)) if is_so]
        changes = "\n".join([*row.changes, *([row.warning] if row.warning else [])])
        table.add_row(str(row.version), ", ".join(marks), Text(changes or "not in the catalogue of this release"))
    yield table


def history_document(updates: Iterable[Update], records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "updates": [
            {
                "id": each.id,
                "status": each.status,
                "type": each.type,
                "created_at": _stamp(each.created_at),
                "params": dict(each.params),
                "errors": [{"code": error.code, "message": error.message} for error in each.errors],
            }
            for each in updates
        ],
        "records": list(records),
    }


def history_people(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """Return updates and records as tables, oldest first."""
    table = Table(box=None, pad_edge=False, header_style="bold", title="updates", title_justify="left")
    for name in ("time", "status", "asked for", "errors"):
        table.add_column(name, overflow="fold")
    for each in document["updates"]:
        asked = "\n".join(f"{name} {value}" for name, value in each["params"].items())
        errors = "\n".join(f"{error['code']}: {error['message']}" for error in each["errors"])
        table.add_row(each["created_at"] or "", status_text(each["status"]), Text(asked), Text(errors, style=_BAD))
    yield table
    saved = Table(box=None, pad_edge=False, header_style="bold", title="records", title_justify="left")
    for name in ("time", "add-on", "file"):
        saved.add_column(name, overflow="fold")
    for each in document["records"]:
        saved.add_row(each["taken_at"], each["version"] or "none", each["file"])
    yield saved


def request_document(change: Change, version: str = "") -> dict[str, Any]:
    """Return what is asked of EKS; ``version`` is the last one of several steps."""
    return {
        "version": version or change.version,
        "resolve_conflicts": str(change.mode),
        "role_arn": change.role_arn or None,
        "configuration_values": change.configuration_values,
        "tags": dict(change.tags),
    }


def judgement_document(judgement: Judgement) -> dict[str, Any]:
    """Return how a change ended; ``conflicts`` are the fields that the message of EKS names."""
    return {
        "outcome": str(judgement.end),
        "issues": [{"code": each.code, "message": each.message} for each in judgement.issues],
        "conflicts": [asdict(each) for each in parse_conflicts(judgement.issues)],
    }


def change_people(document: Mapping[str, Any], what: str) -> Iterable[RenderableType]:
    """Return what a change did; why it did not end well is said by its error."""
    for each in document.get("steps", ()):
        yield Text(f"{each['version']}: {each['outcome']}", style=_GOOD if each["outcome"] == "done" else _BAD)
    if document["outcome"] == "done":
        yield Text(f"{what} is done", style=_GOOD)


def translation_document(translation: Translation) -> dict[str, Any]:
    """Return settings as configuration values, and those that have no such form."""
    return {
        "configuration_values": dict(translation.values),
        "not_expressible": [asdict(each) for each in translation.left_over],
    }


def translation_people(translation: Translation) -> Iterable[RenderableType]:
    yield Text(f"configuration values: {translation.text or 'none'}")
    if not translation.left_over:
        return
    table = Table(title="cannot be expressed", title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in ("setting", "value", "why"):
        table.add_column(name, overflow="fold")
    for each in translation.left_over:
        table.add_row(Text(each.setting), Text(shown(each.value)), Text(each.reason))
    yield table


def status_text(status: str) -> Text:
    """Return a status of EKS in its colour."""
    return Text(status, style=_STYLES.get(status, _BAD))


def _plain_table() -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    return table


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")
