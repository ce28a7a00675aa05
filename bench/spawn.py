"""Start plugin processes and time them from spawn to exit.

One thread does everything: it starts a process for each chain, waits for whichever ends first, and starts the next
of that chain. So eight workers need no threads, whose switches would be part of the measurement. ``posix_spawn`` of
glibc shares the parent's memory until the exec (CLONE_VFORK): the driver's size does not matter.
"""

import os
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_READ_FLAGS = os.O_RDONLY
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a program: what it is, what it reads, where its output goes."""

    program: str
    environment: Mapping[str, str]
    stdin: Path
    stdout: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of a program cost.

    Args:
        started: CLOCK_MONOTONIC seconds before the spawn.
        ended: CLOCK_MONOTONIC seconds after its exit was seen.
        exit_code: as the shell says it: 128 + n for signal n.
    """

    started: float
    ended: float
    exit_code: int

    @property
    def seconds(self) -> float:
        return self.ended - self.started


Chain = Generator[Call, Outcome, None]
"""Calls that follow each other: yields a call, is sent its outcome."""


def run_chains(chains: Sequence[Chain]) -> None:
    """Run all chains beside each other, the calls within a chain one after the other.

    The process must have no other children. When a chain raises, the running calls are waited for, and the error
    leaves this function.
    """
    running: dict[int, tuple[Chain, float]] = {}
    try:
        for chain in chains:
            _start(next(chain, None), chain, running)
        while running:
            _finish_one(running)
    finally:
        for pid in running:
            os.waitpid(pid, 0)


def _start(call: Call | None, chain: Chain, running: dict[int, tuple[Chain, float]]) -> None:
    if call is None:
        return
    files = (
        (os.POSIX_SPAWN_OPEN, 0, call.stdin, _READ_FLAGS, 0),
        (os.POSIX_SPAWN_OPEN, 1, call.stdout, _WRITE_FLAGS, 0o600),
    )
    started = time.monotonic()
    pid = os.posix_spawn(call.program, [call.program], call.environment, file_actions=files)
    running[pid] = (chain, started)


def _finish_one(running: dict[int, tuple[Chain, float]]) -> None:
    pid, status = os.waitpid(-1, 0)
    ended = time.monotonic()
    chain, started = running.pop(pid)
    code = os.waitstatus_to_exitcode(status)
    outcome = Outcome(started, ended, code if code >= 0 else 128 - code)
    try:
        call = chain.send(outcome)
    except StopIteration:
        return
    _start(call, chain, running)
