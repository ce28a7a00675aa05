"""Run all rows of a check and collect the verdict."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from vpc_cni.lab.check.expectations import Expectation
from vpc_cni.lab.check.probes import Flow, ProbeResult, SocketOpener, run_probe

PROBE_SECONDS = 1.5
# Few at a time and impatiently first, so that times mean something; what fails then gets its full time, all at once.
FIRST_SECONDS, FIRST_PARALLEL = 0.1, 6
SECOND_PARALLEL = 96
FIRST_NODE_PORT = 30000
FIRST_TARGET_PORT = 8000


@dataclass(frozen=True, slots=True)
class NodePort:
    """A port of a node that leads to an address and port of a pod, for TCP and UDP, without changing the source."""

    port: int
    address: str
    target_port: int


# Opens the given ports in a node's namespace for as long as the context lasts.
NodePortOpener = Callable[[str, Sequence[NodePort]], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class RowResult:
    """A row with one result for each of its protocols, in their order."""

    row: Expectation
    results: tuple[ProbeResult, ...]

    @property
    def passed(self) -> bool:
        return all(result.passed for result in self.results)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The verdict. ``problems`` are reasons to fail beside the rows, for example a row that could not be asked."""

    rows: tuple[RowResult, ...]
    seconds: float
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether everything works. A check without rows has shown nothing, so it fails."""
        return bool(self.rows) and not self.problems and all(row.passed for row in self.rows)


async def run_check(
    rows: Sequence[Expectation],
    opener: SocketOpener,
    open_node_ports: NodePortOpener,
    *,
    problems: Iterable[str] = (),
    timeout_seconds: float = PROBE_SECONDS,
) -> CheckReport:
    """Ask every row, several at a time. Node ports exist only meanwhile.

    Args:
        timeout_seconds: how long a flow may take in its second attempt.
    """
    started = time.monotonic()
    first, second = asyncio.Semaphore(FIRST_PARALLEL), asyncio.Semaphore(SECOND_PARALLEL)

    async def ask(flow: Flow) -> ProbeResult:
        async with first:
            result = await run_probe(flow, opener, FIRST_SECONDS)
        if result.passed:
            return result
        async with second:
            return await run_probe(flow, opener, timeout_seconds)

    flows = [_flows(index, row) for index, row in enumerate(rows)]
    with ExitStack() as opened:
        for node, ports in _node_ports(rows).items():
            opened.enter_context(open_node_ports(node, ports))
        answers = await asyncio.gather(*(asyncio.gather(*map(ask, of_row)) for of_row in flows))
    results = tuple(RowResult(row, tuple(answer)) for row, answer in zip(rows, answers, strict=True))
    return CheckReport(results, time.monotonic() - started, tuple(problems))


def _flows(index: int, row: Expectation) -> list[Flow]:
    if row.ports is not None:
        return [
            Flow(row, protocol, port=row.ports[protocol][1], dialled_port=row.ports[protocol][0])
            for protocol in row.protocols
        ]
    if row.node_port is None:
        return [Flow(row, protocol) for protocol in row.protocols]
    ports = _ports_of_row(index)
    return [Flow(row, protocol, port=ports[1], dialled_port=ports[0]) for protocol in row.protocols]


def _node_ports(rows: Sequence[Expectation]) -> dict[str, list[NodePort]]:
    wanted: dict[str, list[NodePort]] = {}
    for index, row in enumerate(rows):
        if row.node_port is not None:
            outer, inner = _ports_of_row(index)
            wanted.setdefault(row.node_port, []).append(NodePort(outer, str(row.target.address), inner))
    return wanted


def _ports_of_row(index: int) -> tuple[int, int]:
    """Return the node's port and the pod's port of a row: unique, so that rows can run at the same time."""
    return FIRST_NODE_PORT + index, FIRST_TARGET_PORT + index
