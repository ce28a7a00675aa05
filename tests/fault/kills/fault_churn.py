"""Workers that start and end pods as a node's kubelet does, whatever happens to the agent meanwhile."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from fault_runtime import Book, NodeRuntime, Pinger, Sandbox

from vpc_cni.lab.runtime import PluginError
from vpc_cni.netlink.netns import Netns

RETRY_PAUSE_SECONDS = 0.02
POD_NAMES = 12  # of each worker: names come back while old links still wait for the reaper


@dataclass
class Churn:
    """Eight (or so) workers on one node.

    A failed ADD is followed by its DEL and by a new sandbox of the same pod, as a kubelet does. A pod counts as started
    when a ping from another node has reached it.

    Args:
        wanted: ADDs that must succeed before the workers end.
        depth: most pods of one worker; each breathes between none and that many.
    """

    runtime: NodeRuntime
    peer: Netns
    seed: int
    workers: int = 8
    wanted: int = 2000
    depth: int = 5
    book: Book = field(default_factory=Book)
    counts: "Counter[str]" = field(default_factory=Counter)
    slowest_add_seconds: float = 0.0
    failures: "Counter[str]" = field(default_factory=Counter)
    in_flight: "Counter[str]" = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)
    _problems: list[BaseException] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    # -- from outside -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        for number in range(self.workers):
            thread = threading.Thread(target=self._work, args=(number,), name=f"worker-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def is_running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Let the workers finish what they are at."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def raise_problem(self) -> None:
        """Raise what ended a worker, if anything did."""
        if self._problems:
            raise self._problems[0]

    def busy(self) -> int:
        """Return how many plugin calls are under way."""
        with self._lock:
            return sum(self.in_flight.values())

    # -- a worker ---------------------------------------------------------------------------------------------------

    def _work(self, number: int) -> None:
        self.runtime.enter()
        rng = random.Random(f"{self.seed}/{number}")  # noqa: S311 - no secrets
        worker = _Worker(self, number, rng, Pinger(self.peer))
        try:
            while not self._stopping.is_set() and self._is_wanting():
                worker.step()
        except BaseException as err:  # raised again by whoever waits for the workers
            self._problems.append(err)
            self._stopping.set()
        finally:
            worker.pinger.close()

    def _is_wanting(self) -> bool:
        with self._lock:
            return self.counts["add"] < self.wanted

    def add(self, sandbox: Sandbox) -> bool:
        """Run ADD; False when it failed, after the DEL that a runtime then sends."""
        started = time.monotonic()
        try:
            address = self._call("ADD", lambda: self.runtime.add(sandbox))
        except PluginError as err:
            with self._lock:
                self.failures[f"code {err.code}"] += 1
            self.delete(sandbox)
            return False
        self.book.enter(sandbox, address)
        with self._lock:
            self.counts["add"] += 1
            self.slowest_add_seconds = max(self.slowest_add_seconds, time.monotonic() - started)
        return True

    def delete(self, sandbox: Sandbox) -> None:
        """Run DEL, which never fails, and give up the namespace."""
        self.book.strike(sandbox)
        self._call("DEL", lambda: self.runtime.delete(sandbox))
        sandbox.netns.close()
        with self._lock:
            self.counts["del"] += 1

    def _call(self, command: str, work: Callable[[], object]) -> object:
        with self._lock:
            self.in_flight[command] += 1
        try:
            return work()
        finally:
            with self._lock:
                self.in_flight[command] -= 1


@dataclass
class _Worker:
    """One worker: its pods, newest last, and whether it grows or shrinks now."""

    churn: Churn
    number: int
    rng: random.Random
    pinger: Pinger
    pods: list[Sandbox] = field(default_factory=list)
    growing: bool = True

    def step(self) -> None:
        if not self.pods:
            self.growing = True
        elif len(self.pods) >= self.churn.depth:
            self.growing = False
        # Mostly one way, so that the pool has to grow and shrink; sometimes the other.
        if not self.pods or (self.growing if self.rng.random() < 0.8 else not self.growing):
            self._start_pod()
        else:
            self.churn.delete(self.pods.pop(self.rng.randrange(len(self.pods))))

    def _start_pod(self) -> None:
        taken = {sandbox.pod for sandbox in self.pods}
        names = [name for each in range(POD_NAMES) if (name := f"pod-{self.number}-{each}") not in taken]
        sandbox = Sandbox.create(self.rng.choice(names))
        if not self.churn.add(sandbox):
            time.sleep(RETRY_PAUSE_SECONDS)
            return
        self.pods.append(sandbox)
        assert sandbox.address is not None
        if not self.pinger.reaches(sandbox.address):
            raise AssertionError(f"{sandbox.pod} has {sandbox.address} and cannot be reached")
