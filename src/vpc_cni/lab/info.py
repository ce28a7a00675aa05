"""What callers see of a lab: records read from its JSON answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv4Address
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EniInfo:
    """An attached ENI. ``spoofed_packets`` counts what the router dropped because the source was not its own."""

    eni_id: str
    device_number: int
    mac: str
    primary_address: str
    addresses: tuple[str, ...]
    prefixes: tuple[str, ...]
    spoofed_packets: int


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A node. All paths can be used by other processes of the same user while the lab is up."""

    name: str
    instance_id: str
    instance_type: str
    subnet_id: str
    address: str
    public_address: str | None
    netns_path: str
    plugin_dir: str
    conflist_path: str
    socket_path: str
    run_dir: str
    cache_dir: str
    agent_log_path: str
    agent_pid: int | None
    agent_restarts: int
    agent_supervised: bool
    pods: int
    enis: tuple[EniInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class PodInfo:
    """A pod. ``device_number`` is that of the ENI which holds its address; None when EC2 knows no such ENI."""

    name: str
    node: str
    address: str
    eni_id: str | None
    device_number: int | None
    netns_path: str
    container_id: str
    ifname: str
    add_ms: float

    @property
    def ip(self) -> IPv4Address:
        return IPv4Address(self.address)


@dataclass(frozen=True, slots=True)
class CallInfo:
    """One call that EC2 or STS has answered.

    Args:
        at: wall-clock unix seconds at which it was admitted.
        code: the error code; empty on success.
    """

    at: float
    service: str
    operation: str
    role_name: str
    code: str


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """The verdict of `Lab.check`; ``rows`` are as in `lab check --json`."""

    passed: bool
    seconds: float
    problems: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]

    def failures(self) -> list[str]:
        """Return one line for each failed row and each problem."""
        failed = [row for row in self.rows if not row["passed"]]
        lines = [f"{row['title']} ({row['note']}): {row['source']} to {row['target']}: {_why(row)}" for row in failed]
        return [*self.problems, *lines]


def read_node(document: Mapping[str, Any]) -> NodeInfo:
    enis = tuple(read_record(EniInfo, eni) for eni in document["enis"])
    return read_record(NodeInfo, {**document, "enis": enis})


def read_record(kind: type[T], document: Mapping[str, Any]) -> T:
    """Build a record from an object; fields it does not know are skipped, lists become tuples."""
    names: Iterable[str] = (field.name for field in fields(kind))  # type: ignore[arg-type]
    values = {name: document[name] for name in names if name in document}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _why(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{probe['protocol']} {probe['detail']}" for probe in row["probes"] if not probe["passed"])
