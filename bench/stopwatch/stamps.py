"""What the stopwatch has written about each call of a plugin. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from vpc_cni.errors import HostError


@dataclass(frozen=True, slots=True)
class Stamp:
    """One call of a plugin.

    Args:
        command: ``CNI_COMMAND``; ``-`` when it was not set.
        container: ``CNI_CONTAINERID``, the same.
        started_ns: CLOCK_MONOTONIC before the plugin's process was made.
        ended_ns: CLOCK_MONOTONIC after its exit had been seen.
        status: as the shell says it: 128 + n for signal n.
    """

    command: str
    container: str
    started_ns: int
    ended_ns: int
    status: int

    @property
    def milliseconds(self) -> float:
        return (self.ended_ns - self.started_ns) / 1e6


def parse_stamps(text: str) -> list[Stamp]:
    """Return the calls in the order in which they ended.

    Raises:
        HostError: a line is not one of the stopwatch.
    """
    return [_parse_line(line) for line in text.splitlines()]


def first_calls(stamps: Iterable[Stamp], command: str) -> dict[str, Stamp]:
    """Return the first call of a command for each container.

    Runtimes repeat a DEL when they stop a sandbox again, and once more when they remove it: then nothing is left to do.
    """
    first: dict[str, Stamp] = {}
    for stamp in sorted(stamps, key=lambda each: each.started_ns):
        if stamp.command == command:
            first.setdefault(stamp.container, stamp)
    return first


def _parse_line(line: str) -> Stamp:
    try:
        command, container, started, ended, status = line.split()
        return Stamp(command, container, int(started), int(ended), int(status))
    except ValueError as err:
        raise HostError(f"not a line of the stopwatch: {line[:100]!r}") from err
