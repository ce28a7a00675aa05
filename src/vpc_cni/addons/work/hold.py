"""What one worker may rely on of its lease, by the clock of its own machine.

Theory of operation. The store refuses writes of a worker that lost its lease; a cluster cannot. So a worker asks here
before each write to a cluster. While the lease lasts for longer than a request may take, nobody else works on the
cluster until the answer, and the worker goes on. Otherwise, because renewals failed or because the process stood still
(SIGSTOP, a paused machine), the lease is renewed first: the store knows whether somebody took the work over meanwhile,
and then this worker writes nothing any more.

The end of the lease is counted from before it was asked for, so that it is early rather than late by this clock.
"""

import threading
import time
from collections.abc import Callable

from vpc_cni.addons.store import Lease, LeaseLostError, Store
from vpc_cni.addons.work.settings import WorkSettings


def running_seconds() -> float:
    """Return seconds of a clock that is never set, and goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Hold:
    """A lease and when it ends. Safe for threads: one works, another renews.

    Args:
        asked_at: by ``clock``, before the lease was claimed.
    """

    def __init__(
        self,
        store: Store,
        lease: Lease,
        settings: WorkSettings,
        asked_at: float,
        clock: Callable[[], float] = running_seconds,
    ) -> None:
        self.lease = lease
        self._store = store
        self._settings = settings
        self._clock = clock
        self._ends_at = asked_at + settings.lease
        self._unchanged = lease.unchanged
        self._lock = threading.Lock()

    def renew(self) -> None:
        """Keep the lease for its whole time from now on.

        Raises:
            LeaseLostError: somebody else works on it now, or it was given back.
        """
        asked_at = self._clock()
        self._store.leases.renew(self.lease, self._settings.lease)
        with self._lock:
            self._ends_at = max(self._ends_at, asked_at + self._settings.lease)

    def before_write(self) -> None:
        """Return when the cluster may be written to; the first time, the store is told that it will be.

        Raises:
            LeaseLostError: it may not.
        """
        if self._is_short():
            self.renew()
        if self._unchanged:
            self._store.leases.note_changing(self.lease)
            self._unchanged = False
        if self._is_short():
            # A store so slow that it takes most of a lease to renew one.
            raise LeaseLostError(self.lease.operation.id)

    def _is_short(self) -> bool:
        with self._lock:
            return self._ends_at - self._clock() <= self._settings.write_margin
