"""``vpc-cni self-managed``: installations whose manifests their operators apply themselves.

``images``, ``render`` and ``schema`` need no cluster: they read files that the user names, ask
:mod:`vpc_cni.manifests`, and print. Those of ``_self_managed_look`` and ``_self_managed_change`` need one.
Results go to standard output, notes to standard error.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from vpc_cni.cli import _self_managed_change, _self_managed_look
from vpc_cni.cli._self_managed_options import (
    CatalogueOption,
    DigestOption,
    EnvOption,
    ImageSetOption,
    JsonOption,
    KubernetesOption,
    PartitionOption,
    RegionOption,
    RegistryOption,
    RoleOption,
    ValuesOption,
    VersionOption,
    pairs,
    print_notes,
    read_catalogue,
    read_values,
)
from vpc_cni.errors import CallerError
from vpc_cni.manifests import (
    Catalogue,
    ImageReference,
    ImageSet,
    IpFamily,
    Partition,
    Profile,
    Region,
    Registry,
    RenderOptions,
    encode_yaml,
    find_region,
    known_regions,
    metrics_helper_image,
    parse_addon_version,
    parse_kubernetes_version,
    parse_registry,
    plan_images,
    render,
    schema_text,
)

_HELP = "Installations of your own: their manifests, and their state in a cluster."

app = typer.Typer(help=_HELP, no_args_is_help=True)
app.command(name="status")(_self_managed_look.show_status)
app.command(name="backup")(_self_managed_look.take_backup)
app.command(name="diff")(_self_managed_look.show_difference)
app.command(name="apply")(_self_managed_change.apply_version)
app.command(name="verify")(_self_managed_look.verify_installation)
app.command(name="restore")(_self_managed_change.restore_backup)


@app.callback()
def _self_managed() -> None:
    """Installations of your own: their manifests, and their state in a cluster."""


@app.command(name="images")
def list_images(
    *,
    version: VersionOption = "",
    kubernetes_version: KubernetesOption = "",
    image_set: ImageSetOption = ImageSet.OWN,
    registry: RegistryOption = "",
    region: RegionOption = "",
    partition: PartitionOption = None,
    digest: DigestOption = None,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the images of a version: what to copy into a private registry, and under which name."""
    asked = _Asked(version, kubernetes_version, image_set, registry, region, partition, catalogue)
    chosen = _choose(asked)
    wanted = plan_images(chosen.profile, image_set, chosen.registry, pairs(digest, "--digest"))
    optional = (metrics_helper_image(chosen.profile, chosen.registry),) if image_set is ImageSet.AWS else ()
    rows = [_image_row(image, chosen, needed=True) for image in wanted.all]
    rows += [_image_row(image, chosen, needed=False) for image in optional]
    if as_json:
        document = {"version": str(chosen.profile.version), "image_set": str(image_set), "images": rows}
        typer.echo(json.dumps({**document, "notes": list(chosen.notes)}, indent=2))
        return
    print_notes(chosen.notes)
    for row in rows:
        typer.echo(_image_line(row))


@app.command(name="render")
def render_manifests(
    *,
    version: VersionOption = "",
    kubernetes_version: KubernetesOption = "",
    image_set: ImageSetOption = ImageSet.OWN,
    registry: RegistryOption = "",
    region: RegionOption = "",
    partition: PartitionOption = None,
    values: ValuesOption = "",
    env: EnvOption = None,
    role_arn: RoleOption = "",
    ip_family: Annotated[IpFamily, typer.Option(help="Of pod addresses.")] = IpFamily.IPV4,
    digest: DigestOption = None,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the Kubernetes objects, in the order to apply them."""
    asked = _Asked(version, kubernetes_version, image_set, registry, region, partition, catalogue)
    chosen = _choose(asked)
    options = RenderOptions(
        images=plan_images(chosen.profile, image_set, chosen.registry, pairs(digest, "--digest")),
        configuration=read_values(values, chosen.profile),
        env=pairs(env, "--env"),
        role_arn=role_arn,
        partition=chosen.partition,
        ip_family=ip_family,
    )
    rendered = render(chosen.profile, options)
    notes = (*chosen.notes, *rendered.notes)
    if as_json:
        document = {"version": str(chosen.profile.version), "notes": list(notes), "objects": list(rendered.objects)}
        typer.echo(json.dumps(document, indent=2))
        return
    print_notes(notes)
    typer.echo(encode_yaml(rendered.objects, _comment(chosen.profile, image_set)), nl=False)


@app.command(name="schema")
def print_schema(
    version: VersionOption = "", kubernetes_version: KubernetesOption = "", catalogue: CatalogueOption = None
) -> None:
    """Print the JSON schema of a version's configuration values."""
    profile, notes = _choose_profile(read_catalogue(catalogue), version, kubernetes_version)
    print_notes(notes)
    typer.echo(json.dumps(json.loads(schema_text(profile)), indent=2))


@dataclass(frozen=True, slots=True)
class _Asked:
    """The options that ``images`` and ``render`` share, as given."""

    version: str
    kubernetes_version: str
    image_set: ImageSet
    registry: str
    region: str
    partition: Partition | None
    catalogue: Path | None


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What the options come to. ``official`` is the registry that the reference's images come from, if known."""

    profile: Profile
    registry: Registry
    official: Registry | None
    partition: Partition | None
    notes: tuple[str, ...]


def _choose(asked: _Asked) -> _Chosen:
    profile, notes = _choose_profile(read_catalogue(asked.catalogue), asked.version, asked.kubernetes_version)
    region = find_region(asked.region, asked.partition) if asked.region else None
    return _Chosen(
        profile=profile,
        registry=_choose_registry(asked, region),
        official=region.registry if region and asked.image_set is ImageSet.AWS else None,
        partition=region.partition if region else asked.partition,
        notes=notes,
    )


def _choose_registry(asked: _Asked, region: Region | None) -> Registry:
    if asked.registry:
        return parse_registry(asked.registry)
    if asked.image_set is ImageSet.OWN:
        raise CallerError(
            "this project's images are in no public registry: --registry is missing",
            hint="name the registry that you copied them to, or choose --image-set aws --region REGION",
        )
    if region is None:
        raise CallerError("where images come from is not known", hint="give --region, or --registry for a mirror")
    if region.registry is None:
        raise CallerError(
            f"the official registry of {region.name} is not known",
            hint=f"give --registry; known regions: {', '.join(known_regions())}",
        )
    return region.registry


def _choose_profile(catalogue: Catalogue, version: str, kubernetes_version: str) -> tuple[Profile, tuple[str, ...]]:
    kubernetes = parse_kubernetes_version(kubernetes_version) if kubernetes_version else None
    if version:
        profile = catalogue.find(parse_addon_version(version), kubernetes)
    else:
        profile = catalogue.default_profile(kubernetes)
    return profile, catalogue.check(profile, kubernetes) if kubernetes else ()


def _image_row(image: ImageReference, chosen: _Chosen, *, needed: bool) -> dict[str, Any]:
    """Describe one image; ``source`` is where to copy it from, None when that is the place itself or not known."""
    source = None
    if chosen.official is not None and chosen.official != chosen.registry:
        repository = image.repository.removeprefix(chosen.registry.path_prefix)
        source = ImageReference(chosen.official.host, chosen.official.path_prefix + repository, image.tag, image.digest)
    return {
        "image": str(image),
        "source": None if source is None else str(source),
        "needed": needed,
        "parts": asdict(image),
    }


def _image_line(row: Mapping[str, Any]) -> str:
    words = [row["source"], row["image"]] if row["source"] else [row["image"]]
    return " ".join(words) + ("" if row["needed"] else "  # optional: the metrics helper")


def _comment(profile: Profile, image_set: ImageSet) -> str:
    whose = "this project's images" if image_set is ImageSet.OWN else "the reference's images"
    return f"vpc-cni {profile.version} with {whose}, made by vpc-cni self-managed render"
