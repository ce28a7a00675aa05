"""Keys to sign with: where they come from, how long they are kept. See ``_providers`` for the sources.

botocore.credentials is not used: its refreshable credentials refuse to sign in the last ten minutes of a validity
when a refresh fails, although the service still accepts them, and refresh at every call when a validity is shorter
than that. Its import costs 1.3 MiB more.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from vpc_cni.ec2.timing import Timing
from vpc_cni.errors import CloudError, VpcCniError

logger = logging.getLogger(__name__)

_ADVANCE_SECONDS = 900.0  # refresh this long before the end, or in the last quarter of a shorter validity
_USELESS_SECONDS = 5.0  # a signature made now must still hold when it arrives
_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key. Only ``access_key`` and ``expires_at`` show in the repr.

    ``expires_at`` is unix seconds, None for keys without an end.
    """

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires_at: float | None = None


class CredentialSource(Protocol):
    """What a client needs to sign."""

    def current(self) -> Credentials:
        """Return keys that are valid now.

        Raises:
            CloudError, HostError, ConfigurationError: there are none, and why.
        """

    def reject(self, credentials: Credentials) -> None:
        """Note that the service refused these keys as stale: the next ``current`` fetches new ones."""


class Freshness(Enum):
    FRESH = "fresh"
    AGEING = "ageing"
    """Valid; a new set should be fetched, and a failure to do so does no harm yet."""
    EXPIRED = "expired"


def freshness(credentials: Credentials, fetched_at: float, now: float) -> Freshness:
    """Judge credentials. Pure.

    Args:
        fetched_at: unix seconds; with the expiry it gives the length of the validity.
    """
    if credentials.expires_at is None:
        return Freshness.FRESH
    left = credentials.expires_at - now
    if left <= _USELESS_SECONDS:
        return Freshness.EXPIRED
    advance = min(_ADVANCE_SECONDS, (credentials.expires_at - fetched_at) / 4)
    return Freshness.AGEING if left <= advance else Freshness.FRESH


def refresh_pause(failures: int, chance: float) -> float:
    """Return the seconds to leave a failing source alone after so many failures in a row. Pure.

    Half of it is chance: nodes that lost STS together do not come back together.
    """
    ceiling = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** (failures - 1))
    return ceiling * (0.5 + chance / 2)


class FixedCredentials:
    """Keys from the environment: never refreshed."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def current(self) -> Credentials:
        return self._credentials

    def reject(self, credentials: Credentials) -> None:
        """There is nothing newer."""


@dataclass(frozen=True, slots=True)
class _Held:
    credentials: Credentials
    fetched_at: float
    rejected: bool = False


class RefreshingCredentials:
    """Keys with an end, fetched again before it. Thread safe.

    While the held keys are valid they are fetched anew in the background, once at a time; a failure is logged and
    the next attempt waits. Without valid keys every thread waits for the one that fetches; while the source fails
    they all get its last error at once, so that a pool of threads does not queue up behind timeouts.

    Args:
        fetch: gets new keys; raises a VpcCniError.
        name: of the source, for messages.
        spawn: runs a function that does not raise, later or at once; by default in a thread of its own.
    """

    def __init__(
        self,
        fetch: Callable[[], Credentials],
        *,
        name: str,
        timing: Timing,
        spawn: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._fetch = fetch
        self._name = name
        self._timing = timing
        self._spawn = spawn or _spawn_thread
        self._fetching = threading.Lock()
        self._held: _Held | None = None
        self._failures = 0
        self._last_error: VpcCniError | None = None
        self._not_before = float("-inf")

    def current(self) -> Credentials:
        held = self._held
        if held is not None and self._is_fresh(held):
            return held.credentials
        if held is not None and self._is_usable(held):
            self._begin_renewal()
            return held.credentials
        with self._fetching:
            # Another thread may have fetched while this one waited for the lock.
            held = self._held
            if held is None or not self._is_usable(held):
                held = self._renew_unless_failing()
            return held.credentials

    def reject(self, credentials: Credentials) -> None:
        held = self._held
        if held is not None and held.credentials == credentials:
            self._held = _Held(held.credentials, held.fetched_at, rejected=True)

    def _begin_renewal(self) -> None:
        if self._timing.now() >= self._not_before and self._fetching.acquire(blocking=False):
            self._spawn(self._finish_renewal)

    def _finish_renewal(self) -> None:
        """Fetch; ``_begin_renewal`` has taken the lock, in another thread."""
        try:
            self._renew()
        except VpcCniError as err:
            fields = {"source": self._name, "error": str(err)}
            logger.warning("credentials not refreshed, the present ones stay in use", extra={"fields": fields})
        finally:
            self._fetching.release()

    def _renew_unless_failing(self) -> _Held:
        if self._last_error is not None and self._timing.now() < self._not_before:
            # Raised again and again: without this the traceback would grow each time.
            raise self._last_error.with_traceback(None)
        return self._renew()

    def _renew(self) -> _Held:
        """Fetch; the caller holds the lock."""
        try:
            held = self._fetch_valid()
        except VpcCniError as err:
            self._failures += 1
            self._last_error = err
            self._not_before = self._timing.now() + refresh_pause(self._failures, self._timing.chance())
            raise
        self._failures = 0
        self._last_error = None
        self._held = held
        return held

    def _fetch_valid(self) -> _Held:
        held = _Held(self._fetch(), self._timing.wall_now())
        if self._is_usable(held):
            return held
        raise CloudError(
            f"{self._name} gave credentials that have expired",
            operation="GetCredentials",
            code="ExpiredToken",
            hint="check the clock of this machine",
        )

    def _is_fresh(self, held: _Held) -> bool:
        return not held.rejected and self._freshness(held) is Freshness.FRESH

    def _is_usable(self, held: _Held) -> bool:
        return not held.rejected and self._freshness(held) is not Freshness.EXPIRED

    def _freshness(self, held: _Held) -> Freshness:
        return freshness(held.credentials, held.fetched_at, self._timing.wall_now())


def _spawn_thread(run: Callable[[], None]) -> None:
    threading.Thread(target=run, name="credentials", daemon=True).start()
