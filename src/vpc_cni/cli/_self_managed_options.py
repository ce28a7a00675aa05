"""Options that the commands of ``vpc-cni self-managed`` share."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from vpc_cni.errors import CallerError
from vpc_cni.manifests import (
    Catalogue,
    Configuration,
    ImageSet,
    Partition,
    Profile,
    packaged_catalogue,
    parse_catalogue,
    parse_configuration_text,
    read_configuration,
)

_STANDARD_INPUT = "-"

VersionOption = Annotated[
    str,
    typer.Option(
        "--version",
        metavar="VERSION",
        help="v1.16.2, or v1.16.2-eksbuild.1; else the catalogue's default, or what runs where that is newer.",
    ),
]
KubernetesOption = Annotated[
    str, typer.Option("--kubernetes-version", metavar="VERSION", help="The cluster's, such as 1.29.")
]
ImageSetOption = Annotated[ImageSet, typer.Option(help="This project's agent, or the reference's images.")]
LiveImageSetOption = Annotated[
    ImageSet | None, typer.Option("--image-set", help="This project's agent, or the reference's images; else as live.")
]
RegistryOption = Annotated[
    str, typer.Option(metavar="HOST[:PORT][/FOLDER]", help="Where nodes pull images; else the region's official one.")
]
LiveRegistryOption = Annotated[
    str, typer.Option("--registry", metavar="HOST[:PORT][/FOLDER]", help="Where nodes pull images; else as live.")
]
RegionOption = Annotated[str, typer.Option(metavar="REGION", help="Such as us-west-2: its registry and partition.")]
EksRegionOption = Annotated[str, typer.Option("--region", metavar="REGION", help="Where EKS is asked.")]
PartitionOption = Annotated[Partition | None, typer.Option(help="Checked against region and role; else the region's.")]
CatalogueOption = Annotated[
    Path | None, typer.Option("--catalogue", metavar="FILE", help="A catalogue in the place of the packaged one.")
]
DigestOption = Annotated[
    list[str] | None,
    typer.Option("--digest", metavar="NAME=sha256:HEX", help="Pin an image, such as amazon-k8s-cni; repeatable."),
]
ValuesOption = Annotated[str, typer.Option(metavar="FILE", help="Configuration values, JSON or YAML; - for stdin.")]
EnvOption = Annotated[
    list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="A variable of aws-node; repeatable.")
]
RoleOption = Annotated[str, typer.Option(metavar="ARN", help="IAM role of the service account.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a JSON document.")]
KubeconfigOption = Annotated[str, typer.Option(metavar="FILE", help="Else KUBECONFIG, else ~/.kube/config.")]
ContextOption = Annotated[str, typer.Option(metavar="NAME", help="Of the kubeconfig; else the current one.")]
ClusterNameOption = Annotated[
    str, typer.Option(metavar="NAME", help="Of the cluster in EKS, which is then asked whether it manages the add-on.")
]
EndpointOption = Annotated[str, typer.Option(metavar="URL", help="Of the EKS API, in the place of the region's.")]
ManagedOption = Annotated[
    bool, typer.Option("--even-if-managed", help="Change objects that EKS manages and may change back.")
]
TimeoutOption = Annotated[float, typer.Option(metavar="SECONDS", min=0, help="For the roll-out.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Let the API server check everything; change nothing.")]


def read_catalogue(file: Path | None) -> Catalogue:
    """Return the catalogue in a file, or the packaged one."""
    return packaged_catalogue() if file is None else parse_catalogue(read_text(str(file)), str(file))


def read_values(file: str, profile: Profile) -> Configuration:
    """Return configuration values, checked against a version's schema; no values without a file."""
    if not file:
        return Configuration()
    return read_configuration(parse_configuration_text(read_text(file), file), profile)


def read_text(file: str) -> str:
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


def pairs(words: Iterable[str] | None, option: str) -> dict[str, str]:
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


def print_notes(notes: Iterable[str]) -> None:
    """Print lines for people to standard error."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for note in notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
