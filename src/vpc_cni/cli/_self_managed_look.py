"""Commands that look at an installation and change nothing in the cluster: status, backup, diff, verify."""

import json
import secrets
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from vpc_cni.cli._self_managed_options import (
    CatalogueOption,
    ClusterNameOption,
    ContextOption,
    DigestOption,
    EksRegionOption,
    EndpointOption,
    EnvOption,
    JsonOption,
    KubeconfigOption,
    LiveImageSetOption,
    LiveRegistryOption,
    RoleOption,
    ValuesOption,
    VersionOption,
    print_notes,
    read_text,
)
from vpc_cni.cli._self_managed_session import Access, Session, open_session
from vpc_cni.cli._self_managed_view import (
    backup_document,
    check_lines,
    differs,
    plan_document,
    plan_lines,
    status_document,
    status_lines,
)
from vpc_cni.cli._self_managed_wish import WishOptions, plan_for
from vpc_cni.cluster import Inventory
from vpc_cni.errors import DeviationError, RefusedError, UnknownTypeError
from vpc_cni.self_managed import (
    AddonType,
    Backup,
    EksVerdict,
    Evidence,
    Outcome,
    find_installed,
    parse_backup,
    probe_pod,
    verify,
    write_backup,
)
from vpc_cni.self_managed.flow import list_agent_pods, probe, read_installation

_PROBE_SECONDS = 60.0


def show_status(
    *,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    cluster_name: ClusterNameOption = "",
    region: EksRegionOption = "",
    endpoint_url: EndpointOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say who manages the add-on, and which version runs. Ends with status 7 when the type is not known."""
    with open_session(Access(kubeconfig, context, cluster_name, region, endpoint_url)) as session:
        document = status_document(session.detection, session.sighting, session.eks, session.version)
    typer.echo(json.dumps(document, indent=2) if as_json else "\n".join(status_lines(document)))
    if session.detection.type is AddonType.UNKNOWN:
        raise UnknownTypeError("who manages the add-on is not known", hint=session.detection.hint)


def take_backup(
    *,
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write; made when it is missing.")] = Path(),
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    cluster_name: ClusterNameOption = "",
    region: EksRegionOption = "",
    endpoint_url: EndpointOption = "",
    as_json: JsonOption = False,
) -> None:
    """Save every object of the add-on, whole, in a new file."""
    with open_session(Access(kubeconfig, context, cluster_name, region, endpoint_url)) as session:
        file, backup = save_backup(session, read_installation(session.cluster), folder)
    document = backup_document(str(file), backup)
    if as_json:
        typer.echo(json.dumps(document, indent=2))
        return
    typer.echo(str(file))
    for name in document["objects"]:
        typer.echo(f"  {name}")


def save_backup(session: Session, live: Inventory, folder: Path) -> tuple[Path, Backup]:
    """Write a backup of what was read.

    Raises:
        RefusedError: nothing of the add-on is there, or the record of EKS that belongs to it could not be had.
    """
    if not live.objects:
        raise RefusedError("there is nothing to back up: the cluster has no object of the add-on")
    if session.eks.verdict is EksVerdict.FAILED:
        print_notes([f"the record of EKS is not in the backup: {session.eks.reason}"])
    backup = Backup(datetime.now(UTC), session.version, str(session.detection.type), live, session.eks.addon)
    return write_backup(folder, backup), backup


def show_difference(
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
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with status 8 when something differs.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show field by field what an update would change; settings of the live installation are taken over."""
    wish = WishOptions(version, image_set, registry, values, env, role_arn, digest, catalogue)
    with open_session(Access(kubeconfig, context)) as session:
        plan = plan_for(session, read_installation(session.cluster), wish)
    if as_json:
        typer.echo(json.dumps(plan_document(plan), indent=2))
    else:
        print_notes([*plan.notes, *(each.reason for each in plan.repairs), *(f"{each} stays" for each in plan.left)])
        typer.echo("\n".join(plan_lines(plan)))
    if exit_code and differs(plan):
        raise DeviationError(f"the installation differs from {plan.profile.version}")


def verify_installation(
    *,
    version: VersionOption = "",
    image_set: LiveImageSetOption = None,
    registry: LiveRegistryOption = "",
    values: ValuesOption = "",
    env: EnvOption = None,
    role_arn: RoleOption = "",
    digest: DigestOption = None,
    catalogue: CatalogueOption = None,
    backup: Annotated[
        str, typer.Option(metavar="FILE", help="Whose settings must still be there; else the live.")
    ] = "",
    probe_image: Annotated[str, typer.Option(metavar="IMAGE", help="Start a pod of it for an address.")] = "",
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="For the address.")] = _PROBE_SECONDS,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    cluster_name: ClusterNameOption = "",
    region: EksRegionOption = "",
    endpoint_url: EndpointOption = "",
    as_json: JsonOption = False,
) -> None:
    """Check that the installation is what was planned, and runs. Ends with status 8 when it is not.

    Without --version it is compared with the version that its own image names.
    """
    with open_session(Access(kubeconfig, context, cluster_name, region, endpoint_url)) as session:
        live = read_installation(session.cluster)
        before = parse_backup(read_text(backup), backup).inventory if backup else live
        wish = WishOptions(
            version or _live_version(live), image_set, registry, values, env, role_arn, digest, catalogue
        )
        target = Inventory(plan_for(session, before, wish).target)
        checks = verify(Evidence(live, list_agent_pods(session.cluster), session.eks), target)
        if probe_image:
            pod = probe_pod(f"vpc-cni-probe-{secrets.token_hex(4)}", probe_image)
            checks = (*checks, probe(session.cluster, time, pod, timeout))
    rows = [asdict(each) for each in checks]
    typer.echo(json.dumps({"checks": rows}, indent=2) if as_json else "\n".join(check_lines(checks)))
    failed = [each.name for each in checks if each.outcome is Outcome.FAILED]
    if failed:
        raise DeviationError(f"the installation is not as planned: {', '.join(failed)}")


def _live_version(live: Inventory) -> str:
    installed = find_installed(live.daemon_set or {})
    return str(installed.version) if installed.version else ""
