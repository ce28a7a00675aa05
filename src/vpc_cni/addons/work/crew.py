"""A bounded number of threads for tasks of which some get stuck.

Theory of operation. ``size`` tasks run side by side. One that has run longer than ``patience`` is counted as stuck and
makes room for another, so that clusters which do not answer cannot hold up those that do; ``limit`` bounds all threads
together. A task that is stuck often enough is known as such and belongs into a crew of its own.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CrewSize:
    """``size`` tasks at once that run well, ``limit`` with those that run for more than ``patience`` seconds."""

    size: int
    limit: int
    patience: float = 0.5


def room(running_seconds: list[float], crew: CrewSize) -> int:
    """Return how many tasks may be started now, from how long each of the others has run. Pure."""
    quick = sum(1 for seconds in running_seconds if seconds < crew.patience)
    return max(0, min(crew.size - quick, crew.limit - len(running_seconds)))


class Crew:
    """Runs tasks in threads. Only one thread may start them."""

    def __init__(self, name: str, size: CrewSize, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._threads = ThreadPoolExecutor(size.limit, thread_name_prefix=name)
        self._started: dict[object, float] = {}
        self._lock = threading.Lock()

    def room(self) -> int:
        """Return how many tasks may be started now."""
        with self._lock:
            now = self._clock()
            return room([now - started for started in self._started.values()], self._size)

    def start(self, task: Callable[[], None]) -> None:
        """Run a task in a thread of its own; what it raises is logged."""
        key = object()
        with self._lock:
            self._started[key] = self._clock()
        self._threads.submit(self._run, key, task)

    def stop(self) -> None:
        """Wait until all tasks have ended."""
        self._threads.shutdown(wait=True)

    def _run(self, key: object, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception:
            # The border of a task: whatever it was, the work is still in the store, and its lease runs out.
            _LOG.exception("a task of the add-on service failed")
        finally:
            with self._lock:
                del self._started[key]
