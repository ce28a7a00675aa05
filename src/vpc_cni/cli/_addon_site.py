"""What commands that ask EKS for a change share: they look, write a record, ask, wait, and say what came of it."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from vpc_cni.cli._addon_session import Look, Session, look
from vpc_cni.cli._addon_view import change_people, judgement_document, show
from vpc_cni.cli._self_managed_options import print_notes
from vpc_cni.cluster import Inventory, judge_rollout
from vpc_cni.errors import CallerError, KubernetesError, RefusedError, UnknownTypeError
from vpc_cni.lifecycle.journal import eks_answer, records_folder
from vpc_cni.lifecycle.outcomes import End, Judgement, error_of
from vpc_cni.lifecycle.preflight.finding import Level
from vpc_cni.lifecycle.preflight.versions import check_cluster, check_pod_identity, check_values, check_version
from vpc_cni.lifecycle.records import UNDER_WAY, EksCluster, ManagedAddon, OfferedVersion
from vpc_cni.lifecycle.requests import Change
from vpc_cni.lifecycle.watching import Limits, Seen, wait, watch_creation, watch_update
from vpc_cni.manifests import Catalogue
from vpc_cni.self_managed import Backup, EksVerdict, write_backup
from vpc_cni.self_managed.flow import read_installation

# EKS itself gives an update up after about twenty minutes.
WAIT_SECONDS = 1500.0


@dataclass(frozen=True, slots=True)
class Site:
    """A session with what was looked at before a change, and how long is waited for one."""

    session: Session
    cluster: EksCluster
    seen: Look
    limits: Limits
    records: str

    def offered(self) -> tuple[OfferedVersion, ...]:
        return self.session.eks.offers(self.cluster.version)


@dataclass(slots=True)
class Report:
    """What a command did, as its JSON document grows."""

    document: dict[str, Any] = field(default_factory=dict)

    def end(self, judgement: Judgement, what: str, seconds: float, *, as_json: bool) -> None:
        """Print what was done.

        Raises:
            LifecycleError: it did not end well.
        """
        self.document |= judgement_document(judgement)
        show(self.document, change_people(self.document, what), as_json=as_json)
        error = error_of(judgement, what, seconds=seconds)
        if error is not None:
            raise error


def look_before(session: Session, limits: Limits, records: str) -> Site:
    """Look at everything that a change may depend on.

    Raises:
        UnknownTypeError: EKS did not say whether it has the add-on.
    """
    cluster, seen = session.eks.cluster(), look(session)
    if seen.answer.verdict is EksVerdict.FAILED:
        raise UnknownTypeError(
            f"who manages the add-on is not known: {seen.detection.reason}", hint=seen.detection.hint
        )
    if session.failure:
        print_notes([f"the cluster itself is not looked at: {session.failure}"])
    return Site(session, cluster, seen, limits, records)


def require_settled(site: Site) -> ManagedAddon:
    """Return the add-on.

    Raises:
        CallerError: EKS has none.
        RefusedError: EKS works on it.
    """
    addon = site.seen.addon
    if addon is None:
        raise CallerError(
            f"EKS has no add-on in cluster {site.cluster.name}", hint="`vpc-cni addon create` or `adopt` makes it one"
        )
    if addon.status in UNDER_WAY:
        raise RefusedError(
            f"the add-on is {addon.status}, and EKS refuses changes meanwhile", hint="wait until that has ended"
        )
    return addon


def refuse_early(site: Site, change: Change, catalogue: Catalogue) -> None:
    """Refuse what EKS would refuse, with all reasons at once.

    Raises:
        RefusedError: a check failed that needs neither IAM nor the cluster; `preflight` has the others.
    """
    offered = {each.version for each in site.offered()}
    owned = site.seen.addon.association_arns if site.seen.addon else ()
    associations = owned if change.associations is None else change.associations
    values = change.configuration_values
    schema = None if values is None else site.session.eks.find_schema(change.version)
    findings = (
        check_cluster(site.cluster),
        check_version(change.version, offered, site.cluster, catalogue),
        check_values("values", values, change.version, site.cluster, catalogue, schema=schema),
        check_pod_identity(change.version, len(associations)),
    )
    reasons = [f"{each.check}: {each.detail}" for each in findings if each.level is Level.FAILED]
    if reasons:
        raise RefusedError("\n  ".join(["checks failed:", *reasons]), hint="`vpc-cni addon preflight` has remedies")


def save(site: Site) -> str:
    """Write a record of the state as it is, and return its file."""
    live = _installation(site.session)
    addon, eks = site.seen.addon, site.session.eks
    associations = eks.associations(addon) if addon else ()
    version = site.session.kubernetes_version or site.cluster.version
    kind = str(site.seen.detection.type)
    record = Backup(datetime.now(UTC), version, kind, live, eks_answer(addon, associations))
    folder = records_folder(os.environ, Path.home(), site.cluster, site.records)
    file = str(write_backup(folder, record))
    progress(f"record: {file}")
    return file


def _installation(session: Session) -> Inventory:
    if session.cluster is None:
        return Inventory()
    try:
        return read_installation(session.cluster)
    except KubernetesError as err:
        print_notes([f"the objects are not in the record: {err.message}"])
        return Inventory()


def create(site: Site, change: Change) -> Judgement:
    """Ask for the add-on, and wait for it."""
    site.session.eks.create(change)
    return wait_for(watch_creation(site.session.eks, _rollout(site.session)), site.limits)


def update_stepwise(site: Site, change: Change, steps: tuple[str, ...], done: list[Mapping[str, Any]]) -> Judgement:
    """Update to each version in turn; ``done`` grows by a document for each. Stops where one does not end well."""
    judgement = Judgement(End.DONE)
    for step in steps:
        progress(f"update to {step}")
        update = site.session.eks.update(change.to(step))
        judgement = wait_for(watch_update(site.session.eks, update.id, _rollout(site.session)), site.limits)
        done.append({"version": step, "update_id": update.id, **judgement_document(judgement)})
        if judgement.end is not End.DONE:
            break
    return judgement


def wait_for(see: Callable[[], Seen], limits: Limits) -> Judgement:
    return wait(see, time, limits, progress)


def _rollout(session: Session) -> Callable[[], str]:
    def said() -> str:
        live = session.see().daemon_set
        return str(judge_rollout(live)) if live else ""

    return said


def progress(line: str) -> None:
    typer.echo(line, err=True)
