"""``vpc-cni addons``: the add-on service, and the clusters that it works on.

``serve`` runs the service. The other commands are for its administrators: they work on the store itself, so who may
use them is who may read the state folder and its keys.
"""

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from vpc_cni.addons.clusters import Wish, open_vault, reach, register, withdraw
from vpc_cni.addons.images import ImageSource
from vpc_cni.addons.model import Network, Owner
from vpc_cni.addons.server import ServeOptions, serve
from vpc_cni.addons.server.options import SEAL_KEY_FILE, parse_address, store_url_of
from vpc_cni.addons.store import KEPT_UPDATES, Store
from vpc_cni.addons.work import WorkSettings
from vpc_cni.addons.work.steps import VARIABLE
from vpc_cni.cli._addons_options import STATE_FOLDER, SealKeyOption, StateFolderOption, StoreOption, open_store
from vpc_cni.cli._self_managed_options import (
    CatalogueOption,
    ContextOption,
    DigestOption,
    ImageSetOption,
    JsonOption,
    KubeconfigOption,
    pairs,
    read_catalogue,
    read_text,
)
from vpc_cni.cli.addons_seal_key import rotate_seal_key
from vpc_cni.cli.addons_webhook import app as webhook_app
from vpc_cni.cluster.client import find_place
from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.manifests import ImageSet, IpFamily, find_region, parse_registry

_REGION, _ACCOUNT = "us-west-2", "111122223333"

app = typer.Typer(help="The add-on service: the EKS API for add-ons on any cluster.", no_args_is_help=True)
app.add_typer(webhook_app, name="webhook")
app.command(name="rotate-seal-key")(rotate_seal_key)


@app.command(name="serve")
def serve_addons(
    *,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Of the API.")] = "127.0.0.1:8443",
    local: Annotated[str, typer.Option(metavar="HOST:PORT", help="Of probes and metrics.")] = "127.0.0.1:8444",
    state_folder: StateFolderOption = STATE_FOLDER,
    store: StoreOption = "",
    seal_key: SealKeyOption = None,
    access_keys: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON of secret keys by id; else in the state folder.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM; without, plain HTTP.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM.")] = None,
    region: Annotated[str, typer.Option(metavar="REGION", help="In ARNs and signatures.")] = _REGION,
    account: Annotated[str, typer.Option(metavar="ID", help="In ARNs: 12 digits.")] = _ACCOUNT,
    catalogue: CatalogueOption = None,
    image_set: ImageSetOption = ImageSet.OWN,
    registry: Annotated[str, typer.Option(metavar="HOST[:PORT][/FOLDER]", help="Where nodes pull images.")] = "",
    digest: DigestOption = None,
    update_deadline: Annotated[float, typer.Option(metavar="SECONDS", min=1, help="For a roll-out.")] = 1200.0,
    look_every: Annotated[float, typer.Option(metavar="SECONDS", min=1, help="Between looks at health.")] = 30.0,
    degraded_after: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Unhealthy for so long.")] = 20.0,
    roll_out_look: Annotated[float, typer.Option(metavar="SECONDS", min=0.05, help="Between looks at pods.")] = 1.0,
    keep_updates: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, help="Finished updates to remember of each add-on.")
    ] = KEPT_UPDATES,
    strict_minor_step: Annotated[bool, typer.Option(help="Refuse updates over several minor versions.")] = False,
    log_level: Annotated[str, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve the EKS API for add-ons, and make clusters what was asked for."""
    _log_to_standard_error(log_level)
    options = ServeOptions(
        listen=parse_address(listen, "--listen"),
        local=parse_address(local, "--local"),
        state_folder=state_folder,
        owner=_owner(region, account),
        catalogue=read_catalogue(catalogue),
        images=_images(image_set, registry, digest),
        store_url=store,
        seal_key=seal_key,
        access_keys=access_keys,
        certificate=tls_cert,
        certificate_key=tls_key,
        work=WorkSettings(
            update_deadline=update_deadline,
            roll_out_look=roll_out_look,
            look_every=look_every,
            degraded_after=degraded_after,
        ),
        strict_minor_step=strict_minor_step,
        keep_updates=keep_updates,
        crash_at=os.environ.get(VARIABLE, ""),
    )
    asyncio.run(serve(options, _print_line))


@app.command(name="register-cluster")
def register_cluster(
    name: Annotated[str, typer.Argument(help="Of the cluster in the API.")],
    *,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    eks_version: Annotated[
        str, typer.Option(metavar="1.29", help="Kubernetes version to show; else the API server's.")
    ] = "",
    ip_family: Annotated[IpFamily, typer.Option(help="Of the cluster's pods.")] = IpFamily.IPV4,
    service_cidr: Annotated[str, typer.Option(metavar="CIDR", help="Of its services.")] = "172.20.0.0/16",
    vpc_id: Annotated[str, typer.Option(metavar="ID", help="To show.")] = "",
    subnet_id: Annotated[list[str] | None, typer.Option(metavar="ID", help="To show; repeatable.")] = None,
    security_group_id: Annotated[list[str] | None, typer.Option(metavar="ID", help="To show; repeatable.")] = None,
    issuer: Annotated[str, typer.Option(metavar="URL", help="Of its tokens; else what the cluster tells.")] = "",
    role_arn: Annotated[str, typer.Option(metavar="ARN", help="Of the cluster, to show.")] = "",
    token_file: Annotated[
        str, typer.Option(metavar="FILE", help="A token to log in with, in the place of a new account's.")
    ] = "",
    client_certificate: Annotated[str, typer.Option(metavar="FILE", help="PEM, the same; with --client-key.")] = "",
    client_key: Annotated[str, typer.Option(metavar="FILE", help="PEM.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="It is registered: replace all but its age.")] = False,
    state_folder: StateFolderOption = STATE_FOLDER,
    store: StoreOption = "",
    seal_key: SealKeyOption = None,
) -> None:
    """Let the service work on a cluster: uses a kubeconfig once, and keeps a login of the service's own."""
    if bool(client_certificate) != bool(client_key):
        raise CallerError("--client-certificate and --client-key go together")
    network = Network(
        family=ip_family.value,
        service_cidr=service_cidr,
        vpc_id=vpc_id,
        subnet_ids=tuple(subnet_id or ()),
        security_group_ids=tuple(security_group_id or ()),
    )
    wish = Wish(
        name=name,
        place=find_place(os.environ, Path.home(), kubeconfig=kubeconfig, context=context),
        eks_version=eks_version,
        issuer=issuer,
        role_arn=role_arn,
        network=network,
        token=read_text(token_file).strip() if token_file else "",
        client_certificate=read_text(client_certificate) if client_certificate else "",
        client_key=read_text(client_key) if client_key else "",
    )
    vault = open_vault(seal_key or state_folder / SEAL_KEY_FILE)
    opened = Store(store_url_of(state_folder, store))
    try:
        done = register(wish, opened, vault, replaced=replace)
    finally:
        opened.close()
    if done.record.version != done.live_version:
        shown = f"version {done.record.version} is shown, but the API server is {done.live_version}"
        typer.echo(f"warning: {shown}: add-on versions are chosen for {done.record.version}", err=True)
    _print_line(f"registered {name}: {done.record.endpoint}, Kubernetes {done.record.version}")


@app.command(name="unregister-cluster")
def unregister_cluster(
    name: Annotated[str, typer.Argument(help="Of the cluster in the API.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Forget its add-ons and Fargate profiles too.")] = False,
    withdraw_rights: Annotated[
        bool, typer.Option("--withdraw", help="Delete in the cluster what registration made there; with --kubeconfig.")
    ] = False,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    state_folder: StateFolderOption = STATE_FOLDER,
    store: StoreOption = "",
) -> None:
    """Forget a cluster. Its add-ons go on running: nothing of them is touched."""
    place = find_place(os.environ, Path.home(), kubeconfig=kubeconfig, context=context) if withdraw_rights else None
    if place is not None:
        # Once it is forgotten, this command could not be asked again.
        reach(place)
    opened = open_store(state_folder, store)
    try:
        opened.clusters.remove(name, with_everything=force)
    finally:
        opened.close()
    if place is not None:
        withdraw(place)
    _print_line(f"forgot {name}")


@app.command(name="list-clusters")
def list_clusters(
    *,
    as_json: JsonOption = False,
    state_folder: StateFolderOption = STATE_FOLDER,
    store: StoreOption = "",
) -> None:
    """List registered clusters: name, version, server."""
    opened, found, after = open_store(state_folder, store), [], ""
    try:
        while True:
            page = opened.clusters.list_names(after)
            found += [opened.clusters.get(each) for each in page.items]
            after = page.next
            if not after:
                break
    finally:
        opened.close()
    if as_json:
        rows = [{"name": each.name, "version": each.version, "endpoint": each.endpoint} for each in found]
        _print_line(json.dumps(rows, indent=2))
        return
    for each in found:
        _print_line(f"{each.name}  {each.version}  {each.endpoint}")


def _owner(region: str, account: str) -> Owner:
    if not (account.isascii() and account.isdigit() and len(account) == 12):
        raise ConfigurationError(f"--account {account!r} has no 12 digits")
    return Owner(account, region, find_region(region).partition.value)


def _images(image_set: ImageSet, registry: str, digest: list[str] | None) -> ImageSource:
    if image_set is ImageSet.OWN and not registry:
        raise ConfigurationError(
            "our own images have no registry of their own", hint="name yours by --registry, or take --image-set aws"
        )
    return ImageSource(image_set, parse_registry(registry) if registry else None, pairs(digest, "--digest"))


def _log_to_standard_error(level: str) -> None:
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ConfigurationError(f"--log-level {level!r} is none", hint="debug, info, warning or error")
    logging.basicConfig(level=number, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # It logs each request with its URL.
    logging.getLogger("httpx2").setLevel(logging.WARNING)


def _print_line(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()
