"""``vpc-cni self-managed``: installations whose manifests their operators apply themselves.

``images``, ``render`` and ``schema`` need no cluster: they read files that the user names, ask
:mod:`vpc_cni.manifests`, and print. Results go to standard output, notes to standard error.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from vpc_cni.errors import CallerError
from vpc_cni.manifests import (
    Catalogue,
    Configuration,
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
    packaged_catalogue,
    parse_addon_version,
    parse_catalogue,
    parse_configuration_text,
    parse_kubernetes_version,
    parse_registry,
    plan_images,
    read_configuration,
    render,
    schema_text,
)

_STANDARD_INPUT = "-"

app = typer.Typer(help="Make and look at the manifests of an installation of your own.", no_args_is_help=True)

VersionOption = Annotated[
    str, typer.Option("--version", metavar="VERSION", help="v1.16.2, or v1.16.2-eksbuild.1; else the newest.")
]
KubernetesOption = Annotated[
    str, typer.Option("--kubernetes-version", metavar="VERSION", help="The cluster's, such as 1.29.")
]
ImageSetOption = Annotated[ImageSet, typer.Option(help="This project's agent, or the reference's images.")]
RegistryOption = Annotated[
    str, typer.Option(metavar="HOST[:PORT][/FOLDER]", help="Where nodes pull images; else the region's official one.")
]
RegionOption = Annotated[str, typer.Option(metavar="REGION", help="Such as us-west-2: its registry and partition.")]
PartitionOption = Annotated[Partition | None, typer.Option(help="Checked against region and role; else the region's.")]
CatalogueOption = Annotated[
    Path | None, typer.Option("--catalogue", metavar="FILE", help="A catalogue in the place of the packaged one.")
]
DigestOption = Annotated[
    list[str] | None,
    typer.Option("--digest", metavar="NAME=sha256:HEX", help="Pin an image, such as amazon-k8s-cni; repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a JSON document.")]


@app.callback()
def _self_managed() -> None:
    """Make and look at the manifests of an installation of your own."""


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
    wanted = plan_images(chosen.profile, image_set, chosen.registry, _pairs(digest, "--digest"))
    optional = (metrics_helper_image(chosen.profile, chosen.registry),) if image_set is ImageSet.AWS else ()
    rows = [_image_row(image, chosen, needed=True) for image in wanted.all]
    rows += [_image_row(image, chosen, needed=False) for image in optional]
    if as_json:
        document = {"version": str(chosen.profile.version), "image_set": str(image_set), "images": rows}
        typer.echo(json.dumps({**document, "notes": list(chosen.notes)}, indent=2))
        return
    _print_notes(chosen.notes)
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
    values: Annotated[str, typer.Option(metavar="FILE", help="Configuration values, JSON or YAML; - for stdin.")] = "",
    env: Annotated[
        list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="A variable of aws-node; repeatable.")
    ] = None,
    role_arn: Annotated[str, typer.Option(metavar="ARN", help="IAM role of the service account.")] = "",
    ip_family: Annotated[IpFamily, typer.Option(help="Of pod addresses.")] = IpFamily.IPV4,
    digest: DigestOption = None,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the Kubernetes objects, in the order to apply them."""
    asked = _Asked(version, kubernetes_version, image_set, registry, region, partition, catalogue)
    chosen = _choose(asked)
    options = RenderOptions(
        images=plan_images(chosen.profile, image_set, chosen.registry, _pairs(digest, "--digest")),
        configuration=_read_values(values, chosen.profile),
        env=_pairs(env, "--env"),
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
    _print_notes(notes)
    typer.echo(encode_yaml(rendered.objects, _comment(chosen.profile, image_set)), nl=False)


@app.command(name="schema")
def print_schema(
    version: VersionOption = "", kubernetes_version: KubernetesOption = "", catalogue: CatalogueOption = None
) -> None:
    """Print the JSON schema of a version's configuration values."""
    profile, notes = _choose_profile(_read_catalogue(catalogue), version, kubernetes_version)
    _print_notes(notes)
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
    profile, notes = _choose_profile(_read_catalogue(asked.catalogue), asked.version, asked.kubernetes_version)
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
    profile = catalogue.find(parse_addon_version(version)) if version else catalogue.newest_profile(kubernetes)
    return profile, catalogue.check(profile, kubernetes) if kubernetes else ()


def _read_catalogue(file: Path | None) -> Catalogue:
    return packaged_catalogue() if file is None else parse_catalogue(_read_text(str(file)), str(file))


def _read_values(file: str, profile: Profile) -> Configuration:
    if not file:
        return Configuration()
    return read_configuration(parse_configuration_text(_read_text(file), file), profile)


def _read_text(file: str) -> str:
    """Read a file that the user named.

    Raises:
        CallerError: it cannot be read, or is no UTF-8.
    """
    try:
        return sys.stdin.read() if file == _STANDARD_INPUT else Path(file).read_text(encoding="utf-8")
    except OSError as err:
        raise CallerError(f"cannot read {file}: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise CallerError(f"{file} is no text in UTF-8") from err


def _pairs(words: Iterable[str] | None, option: str) -> dict[str, str]:
    """Read ``NAME=VALUE`` words; a value may be empty and may hold further equals signs."""
    found: dict[str, str] = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise CallerError(f"{option} {word!r} has no NAME=VALUE")
        if name in found:
            raise CallerError(f"{option} names {name} twice")
        found[name] = value
    return found


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


def _print_notes(notes: Iterable[str]) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for note in notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
