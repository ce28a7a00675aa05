"""Regions, partitions, and the registries that images come from. Pure; the table is ``data/registries.toml``."""

import enum
import functools
import re
import tomllib
from dataclasses import dataclass
from importlib import resources

from vpc_cni.errors import CallerError

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+", re.ASCII)
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.|(?=:|$)))+(?::(?P<port>\d{1,5}))?", re.ASCII)
_PATH = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*", re.ASCII)
_PORT_MAX = 65535


class Partition(enum.StrEnum):
    """A part of AWS with accounts and names of its own; the second word of every ARN."""

    AWS = "aws"
    CHINA = "aws-cn"
    GOV_CLOUD = "aws-us-gov"
    ISO = "aws-iso"
    ISO_B = "aws-iso-b"
    ISO_E = "aws-iso-e"
    ISO_F = "aws-iso-f"


# By the start of a region's name; the first that fits, so the longer ones stand first.
_PARTITIONS = (
    ("cn-", Partition.CHINA),
    ("us-gov-", Partition.GOV_CLOUD),
    ("us-isob-", Partition.ISO_B),
    ("us-isof-", Partition.ISO_F),
    ("eu-isoe-", Partition.ISO_E),
    ("us-iso-", Partition.ISO),
    ("", Partition.AWS),
)


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry and the folder in it. ``host`` includes a port; ``path`` has no slash at either end, may be empty."""

    host: str
    path: str = ""

    @property
    def path_prefix(self) -> str:
        return f"{self.path}/" if self.path else ""

    def __str__(self) -> str:
        return f"{self.host}/{self.path}" if self.path else self.host


@dataclass(frozen=True, slots=True)
class Region:
    """A region of AWS. ``registry`` is the official one of the add-on's images; None where it is not known."""

    name: str
    partition: Partition
    registry: Registry | None = None


def parse_registry(text: str) -> Registry:
    """Read ``host``, ``host:port`` or either with a folder: ``mirror.example.com:5000/team``.

    Raises:
        CallerError: it is none of these.
    """
    host, _, path = text.rstrip("/").partition("/")
    if not is_registry_host(host) or (path and not _PATH.fullmatch(path)):
        raise CallerError(
            f"{text!r} is no registry",
            hint="write HOST[:PORT][/FOLDER] without https://, such as mirror.example.com:5000/team; a host without "
            "a dot needs its port",
        )
    return Registry(host, path)


def is_registry_host(text: str) -> bool:
    """Whether runtimes take the first part of an image's name for a registry: it has a dot or a port."""
    found = _HOST.fullmatch(text)
    if not found or not ("." in text or ":" in text or text == "localhost"):
        return False
    return 1 <= int(found["port"] or 1) <= _PORT_MAX


def find_region(name: str, partition: Partition | None = None) -> Region:
    """Return a region; its registry is known when the table has it.

    Args:
        partition: what the caller believes; None for what the region's name says.

    Raises:
        CallerError: this is no name of a region, or the region lies in another partition.
    """
    if not _REGION.fullmatch(name):
        raise CallerError(f"{name!r} is no region", hint="write a region such as us-west-2")
    actual = next(found for start, found in _PARTITIONS if name.startswith(start))
    if partition not in (None, actual):
        raise CallerError(f"region {name} lies in partition {actual}, not in {partition}")
    return Region(name, actual, _official_registries().get(name))


def known_regions() -> tuple[str, ...]:
    """Return the regions whose official registry is known, in the table's order."""
    return tuple(_official_registries())


@functools.cache
def _official_registries() -> dict[str, Registry]:
    file = resources.files("vpc_cni.manifests") / "data" / "registries.toml"
    tables = tomllib.loads(file.read_text(encoding="utf-8"))["domain"]
    return {
        region: Registry(f"{account}.dkr.ecr.{region}.{domain}")
        for domain, accounts in tables.items()
        for account, regions in accounts.items()
        for region in regions
    }
