"""Network limits of EC2 instance types.

The table is data (``data/instance_types.csv``; ``data/README.md`` says where it comes from). An agent needs one row of
1,395, so ``find_limits`` reads line by line and keeps nothing; the lab reads them all with ``iter_limits``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vpc_cni.errors import ConfigurationError

LAB_PREFIX = "lab."
# A path instead of importlib.resources: that module alone would cost an agent 3 MiB.
_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class NetworkCard:
    """One network card and how many ENIs it takes."""

    index: int
    max_enis: int


@dataclass(frozen=True, slots=True)
class InstanceLimits:
    """What EC2 lets an instance type have. Address counts include the primary address of each ENI.

    ``hypervisor`` is ``nitro``, ``xen`` or ``none`` (bare metal). ``network_cards`` is ordered by index, not empty.
    """

    instance_type: str
    total_enis: int
    ipv4_per_eni: int
    ipv6_per_eni: int
    ipv6_supported: bool
    default_network_card: int
    network_cards: tuple[NetworkCard, ...]
    hypervisor: str
    bare_metal: bool
    efa: bool
    architectures: tuple[str, ...]
    vcpus: int
    memory_mib: int

    @property
    def max_enis(self) -> int:
        """ENIs that a node uses: those of the default network card when the type has several cards."""
        if len(self.network_cards) == 1:
            return self.total_enis
        return next(card.max_enis for card in self.network_cards if card.index == self.default_network_card)

    @property
    def slots_per_eni(self) -> int:
        """Secondary addresses (or prefixes) that an ENI can hold."""
        return self.ipv4_per_eni - 1

    @property
    def pod_addresses(self) -> int:
        """Addresses for pods in secondary-address mode, all ENIs filled.

        >>> find_limits("m5.24xlarge").pod_addresses
        735
        """
        return self.max_enis * self.slots_per_eni


def find_limits(instance_type: str) -> InstanceLimits:
    """Return the limits of ``instance_type``, for example ``m5.large``.

    Effects: reads the packaged table up to the row.

    Raises:
        ConfigurationError: the table has no such type; EC2's DescribeInstanceTypes may know it.

    >>> limits = find_limits("m5.large")
    >>> limits.max_enis, limits.ipv4_per_eni
    (3, 10)
    """
    wanted = instance_type + ","
    for line in _lines(_table(instance_type.startswith(LAB_PREFIX))):
        if line.startswith(wanted):
            return _parse_row(line)
    raise ConfigurationError(
        f"no network limits are known for instance type {instance_type!r}",
        hint="ask EC2's DescribeInstanceTypes, or name a type of the table",
    )


def iter_limits(*, lab_types: bool = False) -> Iterator[InstanceLimits]:
    """Iterate over the limits of all types, in the order of the table; with ``lab_types`` those of the lab last."""
    for lab_only in (False, True) if lab_types else (False,):
        yield from (_parse_row(line) for line in _lines(_table(lab_only)))


def _table(lab_only: bool) -> Path:
    return _DATA / ("lab_instance_types.csv" if lab_only else "instance_types.csv")


def _lines(table: Path) -> Iterator[str]:
    with table.open(encoding="ascii") as stream:
        next(stream)
        yield from stream


def _parse_row(line: str) -> InstanceLimits:
    # No field of the table is quoted; csv.DictReader would cost six times as much for the same answer.
    row = line.rstrip("\n").split(",")
    return InstanceLimits(
        instance_type=row[0],
        total_enis=int(row[1]),
        ipv4_per_eni=int(row[2]),
        ipv6_per_eni=int(row[3]),
        ipv6_supported=row[4] == "true",
        default_network_card=int(row[5]),
        network_cards=tuple(_parse_card(text) for text in row[6].split(";")),
        hypervisor=row[7],
        bare_metal=row[8] == "true",
        efa=row[9] == "true",
        architectures=tuple(row[10].split("+")),
        vcpus=int(row[11]),
        memory_mib=int(row[12]),
    )


def _parse_card(text: str) -> NetworkCard:
    index, _, max_enis = text.partition(":")
    return NetworkCard(int(index), int(max_enis))
