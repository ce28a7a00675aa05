"""Follows the objects of a selection for as long as the agent lives, through every failure of the way to them.

Theory of operation. List (from the server's memory at first, so that a thousand agents starting do not all reach
etcd), then watch from where the list ended. The cursor moves with every event and bookmark. What may happen then:

    ends, as asked, or breaks     watch again from the cursor; a break is told and waits first
    silent for too long           the same, untold: a server without news and without bookmarks looks like that
    410 Gone, as answer or line   the cursor is too old: list again
    garbage                       something was missed: list again
    429, 5xx, unreachable         wait (full jitter, not less than Retry-After), go on from the cursor
    403                           told; asked again at the longest pause, since permissions may come

The server ends a watch after 4 to 8 minutes, at random: no watch outlives a balanced set of servers by hours, and
they do not all return together. ``run`` blocks and belongs into a thread of its own; ``stop`` comes from any other.
"""

import threading
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from vpc_cni.errors import (
    ConfigurationError,
    KubernetesDeniedError,
    KubernetesError,
    KubernetesExpiredError,
    VpcCniError,
)
from vpc_cni.kube._http import SILENT, LineStream
from vpc_cni.kube.client import KubeClient
from vpc_cni.kube.failures import error_of_status
from vpc_cni.kube.objects import MALFORMED, Bookmark, Status, WatchLine, decode
from vpc_cni.kube.resources import ApiRequest, Selection
from vpc_cni.kube.timing import Backoff

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

WATCH_SECONDS = 240
_BACKOFF = Backoff(base_seconds=0.5, ceiling_seconds=30.0)
# A watch that ends sooner was no success, whatever the server says: without this, one that ends watches at once
# would be asked without a pause.
_SHORT_SECONDS = 5.0
_MANY_FAILURES = 8  # enough to reach the ceiling


class WatchObserver(Protocol[T_contra]):
    """Who wants to know; called in the watch's thread, must not block."""

    def listed(self, items: Sequence[T_contra]) -> None:
        """All objects there are: whatever else was known is gone."""

    def changed(self, item: T_contra) -> None:
        """An object is new or different."""

    def deleted(self, item: T_contra) -> None:
        """An object is gone; ``item`` is its last state."""

    def lost(self, error: VpcCniError) -> None:
        """What is known may be out of date from now on."""

    def resumed(self) -> None:
        """What is known is current again."""


class Watcher(Generic[T]):
    """One watch, kept up."""

    def __init__(self, client: KubeClient, selection: Selection[T], observer: WatchObserver[T]) -> None:
        self._client = client
        self._timing = client.timing
        self._selection = selection
        self._observer = observer
        self._cursor = ""
        self._is_first_list = True
        self._failures = 0
        self._is_lost = True
        self._lock = threading.Lock()
        self._stream: LineStream | None = None

    def run(self) -> None:
        """Watch until ``timing.stopping`` is set."""
        while not self._timing.stopping.is_set():
            started = self._timing.now()
            try:
                self._follow()
            except VpcCniError as err:
                if not self._wait_after(err):
                    return
                continue
            if self._timing.now() - started < _SHORT_SECONDS:
                self._failures = min(self._failures + 1, _MANY_FAILURES)
                if not self._timing.pause(_BACKOFF.delay(self._failures, chance=self._timing.chance())):
                    return

    def stop(self) -> None:
        """End :meth:`run`, also while it waits for the server."""
        self._timing.stopping.set()
        with self._lock:
            if self._stream is not None:
                self._stream.abort()

    def _follow(self) -> None:
        """List if need be, then take in one watch until the server ends it."""
        if not self._cursor:
            listing = self._client.list(self._selection, from_cache=self._is_first_list)
            self._is_first_list = False
            self._cursor = listing.resource_version
            self._observer.listed(listing.items)
        seconds = WATCH_SECONDS + int(self._timing.chance() * WATCH_SECONDS)
        request, stream = self._client.watch(self._selection, resource_version=self._cursor, seconds=seconds)
        with self._lock:
            self._stream = stream
            if self._timing.stopping.is_set():
                stream.abort()
        self._found_again()
        try:
            for line in stream.lines():
                if line:
                    self._take(request, line)
        finally:
            with self._lock:
                self._stream = None

    def _take(self, request: ApiRequest, text: bytes) -> None:
        line = decode(text, WatchLine, str(request))
        if line.type == "ERROR":
            status = decode(line.object, Status, str(request))
            raise error_of_status(request, status.code, status, _retry_after(status))
        if line.type == "BOOKMARK":
            self._advance(request, decode(line.object, Bookmark, str(request)).metadata.resource_version)
            return
        item: Any = decode(line.object, self._selection.resource.type, str(request))
        if line.type in ("ADDED", "MODIFIED"):
            self._observer.changed(item)
        elif line.type == "DELETED":
            self._observer.deleted(item)
        else:
            raise KubernetesError(f"{request}: unknown event {line.type[:40]!r}", reason=MALFORMED)
        self._advance(request, item.metadata.resource_version)

    def _advance(self, request: ApiRequest, resource_version: str) -> None:
        if not resource_version:
            raise KubernetesError(f"{request}: an event without a resource version", reason=MALFORMED)
        self._cursor = resource_version
        self._failures = 0

    def _found_again(self) -> None:
        if self._is_lost:
            self._is_lost = False
            self._observer.resumed()

    def _wait_after(self, error: VpcCniError) -> bool:
        """Draw the conclusions of a failure and wait; False when it is time to stop."""
        if self._timing.stopping.is_set():
            return False
        reason = error.reason if isinstance(error, KubernetesError) else ""
        if isinstance(error, KubernetesExpiredError) or reason == MALFORMED:
            self._cursor = ""
        if reason != SILENT and not isinstance(error, KubernetesExpiredError):
            self._is_lost = True
            self._observer.lost(error)
        needs_someone = isinstance(error, KubernetesDeniedError | ConfigurationError)
        self._failures = _MANY_FAILURES if needs_someone else min(self._failures + 1, _MANY_FAILURES)
        retry_after = error.retry_after_seconds if isinstance(error, KubernetesError) else 0.0
        delay = _BACKOFF.delay(self._failures, chance=self._timing.chance(), retry_after_seconds=retry_after)
        return self._timing.pause(delay)


def _retry_after(status: Status) -> float:
    return float(status.details.retry_after_seconds or 0) if status.details is not None else 0.0
