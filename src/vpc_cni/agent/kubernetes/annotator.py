"""``ANNOTATE_POD_IP``: keeps the annotation ``vpc.amazonaws.com/pod-ips`` of pods at the address that they have.

Driven by state, not by requests: what pods have is compared with what was written, and the difference is patched.
So an ADD never waits for the API server, a server that was away finds everything written when it is back, and a
restart repeats harmless patches. The reference fails the ADD instead when its patch fails.

A DEL empties the annotation where it still names the released address: of a Job's pod that is done, say.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from vpc_cni.errors import KubernetesConflictError, KubernetesError, KubernetesNotFoundError, VpcCniError
from vpc_cni.kube import PODS, Backoff, KubeClient
from vpc_cni.model import PodIdentity, SandboxKey

_log = logging.getLogger(__name__)

ANNOTATION = "vpc.amazonaws.com/pod-ips"

# A burst of pods is compared once.
_GATHER_SECONDS = 0.05
_BACKOFF = Backoff(base_seconds=1.0, ceiling_seconds=60.0)
# A permission that is missing will not come within seconds.
_DENIED_FAILURES = 7

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class PodAddress:
    """A pod and its address."""

    pod: PodIdentity
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class Change:
    """A pod to annotate, or (``is_gone``) one whose annotation names an address that it no longer has."""

    key: SandboxKey
    holder: PodAddress
    is_gone: bool


def plan_changes(
    wanted: Mapping[SandboxKey, PodAddress], written: Mapping[SandboxKey, PodAddress]
) -> tuple[Change, ...]:
    """Compare what pods have with what was written: released ones first. Pure.

    Pods without a Kubernetes name are left out. A sandbox whose pod has another sandbox by now is not emptied: its
    successor's patch replaces the text.
    """
    living = {(holder.pod.namespace, holder.pod.name) for holder in wanted.values()}
    gone = [
        Change(key, holder, is_gone=True)
        for key, holder in written.items()
        if key not in wanted and (holder.pod.namespace, holder.pod.name) not in living
    ]
    new = [
        Change(key, holder, is_gone=False)
        for key, holder in wanted.items()
        if holder.pod.name and written.get(key) != holder
    ]
    return (*gone, *new)


class PodAnnotator:
    """Makes the annotations follow.

    Args:
        wanted: the pods whose networks are complete, with their addresses, now.
        in_thread: runs a blocking call in a worker thread.
        on_error: takes each failure that is tried again.
        chance: uniform in [0, 1).
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        wanted: Callable[[], Mapping[SandboxKey, PodAddress]],
        in_thread: InThread,
        on_error: Callable[[str, VpcCniError], None],
        chance: Callable[[], float],
    ) -> None:
        self._client = client
        self._wanted = wanted
        self._in_thread = in_thread
        self._on_error = on_error
        self._chance = chance
        self._written: dict[SandboxKey, PodAddress] = {}
        self._stirred = asyncio.Event()
        self._stirred.set()

    def pods_changed(self) -> None:
        """Compare again, soon; cheap, for the hot path."""
        self._stirred.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        failures = 0
        while True:
            await self._stirred.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._stirred.clear()
            error = await self.follow()
            if error is None:
                failures = 0
                continue
            failures = failures + 1 if error.retryable else _DENIED_FAILURES
            self._on_error("annotate pod", error)
            asked = error.retry_after_seconds if isinstance(error, KubernetesError) else 0.0
            await asyncio.sleep(_BACKOFF.delay(failures, chance=self._chance(), retry_after_seconds=asked))
            self._stirred.set()

    async def follow(self) -> VpcCniError | None:
        """Patch what is different; return the failure that ended it early, None when all is written."""
        wanted = self._wanted()
        for key in [key for key in self._written if key not in wanted and self._is_replaced(key, wanted)]:
            del self._written[key]
        for change in plan_changes(wanted, self._written):
            try:
                await self._in_thread(lambda change=change: self._patch(change))  # type: ignore[misc]
            except (KubernetesNotFoundError, KubernetesConflictError):
                pass  # the pod is gone, or a successor has its name
            except VpcCniError as err:
                return err
            if change.is_gone:
                self._written.pop(change.key, None)
            else:
                self._written[change.key] = change.holder
        return None

    def _is_replaced(self, key: SandboxKey, wanted: Mapping[SandboxKey, PodAddress]) -> bool:
        old = self._written[key].pod
        return any((each.pod.namespace, each.pod.name) == (old.namespace, old.name) for each in wanted.values())

    def _patch(self, change: Change) -> None:
        pod, text = change.holder.pod, str(change.holder.address)
        if not change.is_gone:
            annotations = {ANNOTATION: text}
            self._client.patch_annotations(PODS, pod.name, annotations, namespace=pod.namespace, uid=pod.uid)
            return
        found = self._client.get(PODS, pod.name, namespace=pod.namespace).metadata
        if (found.annotations or {}).get(ANNOTATION) == text:
            self._client.patch_annotations(PODS, pod.name, {ANNOTATION: ""}, namespace=pod.namespace, uid=found.uid)
