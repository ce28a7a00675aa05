"""Instance types as the cloud knows them: network limits and the little else that DescribeInstanceTypes tells."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class InstanceType:
    """``max_enis`` counts all cards; ``cards`` gives the most ENIs of each network card by its index."""

    name: str
    max_enis: int
    ipv4_per_eni: int
    ipv6_per_eni: int
    ipv6_supported: bool
    default_card: int
    cards: tuple[int, ...]
    hypervisor: str
    bare_metal: bool
    efa: bool
    architectures: tuple[str, ...]
    vcpus: int
    memory_mib: int


# Real types, and those that exist in the lab only (room for benchmarks with more pods than any real type takes).
TABLES = ("data/instance_types.csv", "data/lab_instance_types.csv")


@cache
def instance_types() -> Mapping[str, InstanceType]:
    """Return every known type by name, read once from the package's tables."""
    types: dict[str, InstanceType] = {}
    for name in TABLES:
        with resources.files("vpc_cni.ipam").joinpath(name).open(encoding="utf-8") as lines:
            types |= {row["instance_type"]: _parse_row(row) for row in csv.DictReader(lines)}
    return types


def _parse_row(row: Mapping[str, str]) -> InstanceType:
    cards = [part.split(":") for part in row["network_cards(index:max_enis)"].split(";")]
    return InstanceType(
        name=row["instance_type"],
        max_enis=int(row["max_enis"]),
        ipv4_per_eni=int(row["ipv4_per_eni"]),
        ipv6_per_eni=int(row["ipv6_per_eni"]),
        ipv6_supported=row["ipv6_supported"] == "true",
        default_card=int(row["default_network_card"]),
        cards=tuple(int(most) for _, most in sorted(cards, key=lambda card: int(card[0]))),
        hypervisor=row["hypervisor"],
        bare_metal=row["bare_metal"] == "true",
        efa=row["efa"] == "true",
        architectures=tuple(row["architectures"].split("+")),
        vcpus=int(row["vcpus"]),
        memory_mib=int(row["memory_mib"]),
    )
