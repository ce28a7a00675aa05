"""The workers: one thread hands out what is due to crews of others, one keeps the leases alive."""

import logging
import random
import threading
import uuid
from collections.abc import Callable
from typing import Generic

from vpc_cni.addons.store import LeaseLostError, Look, Store
from vpc_cni.addons.work.crew import Crew
from vpc_cni.addons.work.hold import Hold, running_seconds
from vpc_cni.addons.work.ports import Clusters, ClusterT
from vpc_cni.addons.work.runner import Ended, Runner
from vpc_cni.addons.work.settings import WorkSettings
from vpc_cni.addons.work.steps import Reach, ignore_step
from vpc_cni.addons.work.watcher import Watcher

_LOG = logging.getLogger(__name__)
_LOOKS_POLL_SECONDS = 1.0
# While more are due than a crew takes at once: else 4 a second would be all, too few for hundreds of clusters.
_MORE_LOOKS_POLL_SECONDS = 0.25
_AFTER_FAILURE_SECONDS = 1.0


class Workers(Generic[ClusterT]):
    """All workers of one process.

    Clusters that were not reached last time have crews of their own: connecting to them takes seconds, and nobody
    who can be reached waits for that.

    Args:
        holder: names this process in leases; one that comes back under the same name takes up its own work at once.
    """

    def __init__(
        self,
        store: Store,
        clusters: Clusters[ClusterT],
        settings: WorkSettings | None = None,
        *,
        holder: str = "",
        reach: Reach = ignore_step,
        ended: Ended = lambda _kind, _end, _age: None,
        chance: random.Random | None = None,
        clock: Callable[[], float] = running_seconds,
    ) -> None:
        self._store = store
        self._settings = settings or WorkSettings()
        self._holder = holder or uuid.uuid4().hex
        self._clock = clock
        self._runner = Runner(store, clusters, self._settings, reach=reach, chance=chance, ended=ended)
        self._watcher = Watcher(store, clusters, self._settings, chance)
        self._operations = {
            False: Crew("operation", self._settings.operations),
            True: Crew("operation-unreachable", self._settings.operations_unreachable),
        }
        self._looks = {
            False: Crew("look", self._settings.looks),
            True: Crew("look-unreachable", self._settings.looks_unreachable),
        }
        self._held: set[Hold] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._hand_out, name="hand-out"),
            threading.Thread(target=self._keep_leases, name="leases"),
        ]

    def start(self) -> None:
        """Begin. What an earlier process of the same name had begun is due at once."""
        self._store.leases.take_back(self._holder)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Claim nothing more, and wait until what is under way has ended its try; the rest stays in the store."""
        self._stopping.set()
        self._store.work_waits.set()
        self._threads[0].join()
        for crew in (*self._operations.values(), *self._looks.values()):
            crew.stop()
        self._ended.set()
        self._threads[1].join()

    @property
    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def _hand_out(self) -> None:
        looks_at, failing = 0.0, False
        while not self._stopping.is_set():
            self._store.work_waits.clear()
            try:
                started = [self._claim_operations(unreachable) for unreachable in (False, True)]
                if self._clock() >= looks_at:
                    more = [self._claim_looks(unreachable) for unreachable in (False, True)]
                    looks_at = self._clock() + (_MORE_LOOKS_POLL_SECONDS if any(more) else _LOOKS_POLL_SECONDS)
            except Exception:
                # The border of this thread: a store that fails for a while must not end it.
                # The whole story once; while it goes on, only that it does.
                _LOG.error("the store does not give out work", exc_info=not failing)
                failing = True
                self._stopping.wait(_AFTER_FAILURE_SECONDS)
                continue
            failing = False
            if not any(started):
                self._store.work_waits.wait(self._settings.poll)

    def _claim_operations(self, unreachable: bool) -> bool:
        """Start one operation if there is one and a thread for it; tell whether there was."""
        crew = self._operations[unreachable]
        if not crew.room():
            return False
        asked_at = self._clock()
        lease = self._store.leases.claim(self._holder, self._settings.lease, unreachable=unreachable)
        if lease is None:
            return False
        hold = Hold(self._store, lease, self._settings, asked_at, self._clock)
        with self._lock:
            self._held.add(hold)
        crew.start(lambda: self._run(hold))
        return True

    def _run(self, hold: Hold) -> None:
        try:
            self._runner.run(hold.lease, hold.before_write)
        finally:
            with self._lock:
                self._held.discard(hold)

    def _claim_looks(self, unreachable: bool) -> bool:
        """Start as many looks as there are threads for; tell whether there may be more."""
        crew = self._looks[unreachable]
        room = crew.room()
        looks = self._store.looks.claim(room, self._settings.look_every, unreachable=unreachable) if room else ()
        for look in looks:
            crew.start(self._looking(look))
        return bool(looks) and len(looks) == room

    def _looking(self, look: Look) -> Callable[[], None]:
        return lambda: self._watcher.look(look)

    def _keep_leases(self) -> None:
        """Renew what is being worked on, until the last of it has ended."""
        while not self._ended.wait(self._settings.lease / 3):
            with self._lock:
                held = tuple(self._held)
            for hold in held:
                self._renew(hold)

    def _renew(self, hold: Hold) -> None:
        try:
            hold.renew()
        except LeaseLostError:
            # Ended meanwhile, or taken by another: then its next write says so to whoever works on it.
            with self._lock:
                self._held.discard(hold)
        except Exception as err:
            # Of a store that is away, again and again. Before the next write to a cluster it is asked anew.
            _LOG.error("a lease cannot be renewed: %s", type(err).__name__)
