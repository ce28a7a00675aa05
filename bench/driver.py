"""One side of the comparison, seen from inside: makes sandboxes, calls the plugin, times it.

Runs in a process of its own whose only thread stands in the node's network namespace, so that plugins are born in it
at no cost. ``contender`` is the way to it from elsewhere.
"""

import gc
import resource
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.links import LinkWatch, wait_all_gone
from bench.processes import cpu_seconds
from bench.sandboxes import Sandbox, SandboxFolder, wait_freed
from bench.spawn import Call, Chain, Outcome, run_chains
from bench.target import Target, encode_config, host_link_of, pod_address_of
from vpc_cni.errors import HostError

GONE_SECONDS = 20.0
_REACH_SECONDS = 2.0
_DISCARD_PORT = 9

OneCall = Generator[Call, Outcome, Outcome]
Step = Callable[[Sandbox, int], OneCall]


@dataclass(frozen=True, slots=True)
class Churn:
    """A run of ADD and DEL pairs.

    Args:
        pairs: how many were done.
        seconds: from the first spawn until the last link was gone from the kernel.
        adds: seconds of each ADD.
        ended: seconds from the first spawn until each DEL's exit, ascending.
        settled: for each DEL, seconds from its exit until its link was gone; empty unless it was asked for.
    """

    pairs: int
    seconds: float
    adds: list[float]
    ended: list[float]
    settled: list[float]


class Driver:
    """Drives one plugin.

    Sandboxes go through three queues: fresh (namespace made), attached (ADD done), used (DEL done).

    Args:
        folder: private to this process, on a tmpfs.
    """

    def __init__(self, target: Target, folder: Path) -> None:
        self._target = target
        self._folder = folder
        self._sandboxes = SandboxFolder(folder, target.name)
        self._fresh: deque[Sandbox] = deque()
        self._attached: deque[Sandbox] = deque()
        self._used: list[Sandbox] = []
        self._add_config = folder / "add.json"
        self._add_config.write_bytes(encode_config(target.config))

    def prepare(self, count: int) -> None:
        """Make fresh sandboxes until there are ``count``."""
        self._fresh.extend(self._sandboxes.create(count - len(self._fresh)))
        gc.collect()

    def add(self, count: int, workers: int) -> list[float]:
        """Attach ``count`` fresh sandboxes, ``workers`` calls at a time; return the seconds of each ADD."""
        todo = [self._fresh.popleft() for _ in range(count)]
        return self._timed(todo, workers, self._add_one)

    def delete(self, count: int, workers: int) -> list[float]:
        """Detach the ``count`` sandboxes attached last; return the seconds of each DEL. Links may still be there."""
        todo = [self._attached.pop() for _ in range(count)]
        return self._timed(todo, workers, self._delete_one)

    def burst(self, count: int) -> float:
        """Start ``count`` ADDs at once; return the seconds until the last has ended."""
        started = time.monotonic()
        self.add(count, count)
        return time.monotonic() - started

    def churn(self, count: int, workers: int, *, watch: bool = False, limit_seconds: float = 3600.0) -> Churn:
        """Attach and detach fresh sandboxes, each as one pair, until ``count`` pairs or the limit is reached.

        Args:
            watch: also find out when each link has gone; costs some CPU time.
        """
        if not watch:
            return self._churn(count, workers, limit_seconds, None)
        with LinkWatch() as links:
            return self._churn(count, workers, limit_seconds, links)

    def settle_one(self) -> float:
        """Attach and detach one fresh sandbox; return the seconds from DEL's exit until its link was gone."""
        self.add(1, 1)
        name = self._attached[-1].host_link
        self.delete(1, 1)
        exited = time.monotonic()
        return wait_all_gone([name], GONE_SECONDS) - exited

    def wait_links_gone(self) -> None:
        """Wait until the kernel has none of the links of detached sandboxes."""
        wait_all_gone([sandbox.host_link for sandbox in self._used], GONE_SECONDS)

    def clear(self) -> None:
        """Detach what is attached and give all used namespaces back."""
        self.delete(len(self._attached), 4)
        self.wait_links_gone()
        self._sandboxes.discard(self._used)
        self._used.clear()
        wait_freed()

    def cpu_seconds(self) -> float:
        """Return the CPU time of all plugin processes so far, and of the agent since its start."""
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        agent = cpu_seconds(self._target.agent_pid) if self._target.agent_pid is not None else 0.0
        return usage.ru_utime + usage.ru_stime + agent

    def check_reachable(self) -> str:
        """Send a packet from the node to the pod attached last and wait for its answer; return its address.

        Raises:
            HostError: no answer.
        """
        address = pod_address_of(self._attached[-1].result)
        with socket.socket() as probe:
            probe.settimeout(_REACH_SECONDS)
            try:
                probe.connect((address, _DISCARD_PORT))
            except ConnectionRefusedError:  # nobody listens there: the pod's kernel has answered
                return address
            except OSError as err:
                raise HostError(f"{self._target.name}: pod {address} does not answer its node: {err}") from err
        return address

    def _churn(self, count: int, workers: int, limit_seconds: float, links: LinkWatch | None) -> Churn:
        todo = iter([self._fresh.popleft() for _ in range(count)])
        adds: list[float] = []
        exits: dict[str, float] = {}
        started = time.monotonic()
        deadline = started + limit_seconds
        run_chains([self._pairs(todo, deadline, adds, exits, slot) for slot in range(min(workers, count))])
        last_gone = wait_all_gone(exits, GONE_SECONDS)
        gone = links.wait_gone(exits, GONE_SECONDS) if links else {}
        return Churn(
            pairs=len(exits),
            seconds=last_gone - started,
            adds=adds,
            ended=sorted(moment - started for moment in exits.values()),
            # A plugin that deletes the link itself exits after the kernel's announcement.
            settled=[max(0.0, moment - exits[name]) for name, moment in gone.items()],
        )

    def _pairs(
        self, todo: Iterator[Sandbox], deadline: float, adds: list[float], exits: dict[str, float], slot: int
    ) -> Chain:
        while time.monotonic() < deadline:
            sandbox = next(todo, None)
            if sandbox is None:
                return
            outcome = yield from self._add_one(sandbox, slot)
            adds.append(outcome.seconds)
            self._attached.remove(sandbox)
            outcome = yield from self._delete_one(sandbox, slot)
            exits[sandbox.host_link] = outcome.ended

    def _timed(self, todo: Sequence[Sandbox], workers: int, step: Step) -> list[float]:
        seconds: list[float] = []
        queue = iter(todo)
        run_chains([self._drain(queue, step, seconds, slot) for slot in range(min(workers, len(todo)))])
        return seconds

    def _drain(self, queue: Iterator[Sandbox], step: Step, seconds: list[float], slot: int) -> Chain:
        for sandbox in queue:
            outcome = yield from step(sandbox, slot)
            seconds.append(outcome.seconds)

    def _add_one(self, sandbox: Sandbox, slot: int) -> OneCall:
        sandbox.result = b""
        call = self._call("ADD", sandbox, self._add_config, slot)
        outcome = yield call
        sandbox.result = self._check("ADD", sandbox, outcome, call.stdout)
        sandbox.host_link = host_link_of(sandbox.result)
        self._attached.append(sandbox)
        return outcome

    def _delete_one(self, sandbox: Sandbox, slot: int) -> OneCall:
        config = self._folder / f"del-{slot}.json"
        config.write_bytes(encode_config(self._target.config, sandbox.result))
        call = self._call("DEL", sandbox, config, slot)
        outcome = yield call
        self._check("DEL", sandbox, outcome, call.stdout)
        self._used.append(sandbox)
        return outcome

    def _call(self, command: str, sandbox: Sandbox, stdin: Path, slot: int) -> Call:
        environment = sandbox.environment(command, self._target.plugin_path)
        return Call(self._target.program, environment, stdin, self._folder / f"out-{slot}")

    def _check(self, command: str, sandbox: Sandbox, outcome: Outcome, stdout: Path) -> bytes:
        printed = stdout.read_bytes()
        if outcome.exit_code == 0:
            return printed
        said = " ".join(printed.decode(errors="replace").split()) or "it printed nothing"
        raise HostError(
            f"{self._target.name}: {command} of {sandbox.pod_name} ended with status {outcome.exit_code}: {said}"
        )
