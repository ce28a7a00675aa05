"""Writes Events beside the agent's work: whoever has something to tell never waits for the API server."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from vpc_cni.errors import KubernetesError, KubernetesNotFoundError, VpcCniError
from vpc_cni.kube import PODS, Backoff, Event, EventBook, EventWrite, KubeClient, Occurrence

_log = logging.getLogger(__name__)

_BACKOFF = Backoff(base_seconds=1.0, ceiling_seconds=60.0)

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


class EventWriter:
    """Takes occurrences on the loop and writes them, one at a time, from a thread.

    Args:
        book: decides what is written when.
        in_thread: runs a blocking call in a worker thread.
        on_error: takes each failure; Events that cannot be written wait, bounded by the book.
        clock: CLOCK_BOOTTIME seconds.
        chance: uniform in [0, 1).
    """

    def __init__(
        self,
        client: KubeClient,
        book: EventBook,
        *,
        in_thread: InThread,
        on_error: Callable[[str, VpcCniError], None],
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._client = client
        self._book = book
        self._in_thread = in_thread
        self._on_error = on_error
        self._clock = clock
        self._chance = chance
        self._noted = asyncio.Event()
        self._failures = 0

    def note(self, occurrence: Occurrence | None) -> None:
        """Take in something that happened; cheap, for the hot path."""
        if occurrence is not None:
            self._book.note(occurrence)
            self._noted.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._until_due()
            while (write := self._book.take(self._clock())) is not None:
                pause = await self._write(write)
                if pause:
                    await asyncio.sleep(pause)

    async def _until_due(self) -> None:
        now = self._clock()
        due = self._book.next_at(now)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._noted.wait(), None if due is None else max(0.01, due - now))
        self._noted.clear()

    async def _write(self, write: EventWrite) -> float:
        """Write one Event; return how long to leave the API server alone."""
        try:
            await self._in_thread(lambda: self._post(write))
        except KubernetesNotFoundError:
            # Of a new Event: its pod or namespace is gone, and nobody would see it. Else the Event itself is.
            if write.is_new:
                self._book.forget(write)
            else:
                self._book.failed(write, is_gone=True)
        except VpcCniError as err:
            self._on_error("write Event", err)
            if not err.retryable:  # it will never be taken: a permission, or a namespace that is being deleted
                self._book.forget(write)
                return 0.0
            self._book.failed(write)
            self._failures += 1
            asked = err.retry_after_seconds if isinstance(err, KubernetesError) else 0.0
            return _BACKOFF.delay(self._failures, chance=self._chance(), retry_after_seconds=asked)
        self._failures = 0
        return 0.0

    def _post(self, write: EventWrite) -> None:
        event = write.event
        if write.is_new:
            self._client.create_event(self._with_uid(event))
        else:
            self._client.patch_event(event.metadata.namespace, event.metadata.name, write.patch)

    def _with_uid(self, event: Event) -> Event:
        """Return the Event with the uid of its pod: ``kubectl describe`` shows only Events that have it.

        Kubelet passes it to plugins since Kubernetes 1.22; from older ones it must be asked for.
        """
        about = event.involved_object
        if about.uid or about.kind != PODS.kind:
            return event
        uid = self._client.get(PODS, about.name, namespace=about.namespace).metadata.uid
        return msgspec.structs.replace(event, involved_object=msgspec.structs.replace(about, uid=uid))
