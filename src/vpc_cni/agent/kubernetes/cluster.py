"""The agent's side of its cluster: one watch, a writer of Events, a writer of annotations, and their threads.

Everything here is beside the agent's work. Nothing waits for it: a pod starts and ends the same way while the API
server is away, unknown, or refuses everything; what it would have been told is told when it is back.
"""

import asyncio
import contextlib
import datetime
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from vpc_cni.agent.errors_seen import ErrorsSeen
from vpc_cni.agent.kubernetes.annotator import PodAddress, PodAnnotator
from vpc_cni.agent.kubernetes.event_writer import EventWriter
from vpc_cni.agent.kubernetes.occurrences import missing_permission, pod_without_address
from vpc_cni.agent.kubernetes.own_node import NodeView, OwnNode
from vpc_cni.errors import AccessDeniedError, CapacityError, VpcCniError
from vpc_cni.kube import EventBook, KubeClient, ObjectReference, Watcher, own_node
from vpc_cni.model import PodIdentity, SandboxKey

_log = logging.getLogger(__name__)

# One for Events, one for annotations: each has one request under way at most.
_CALL_THREADS = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Who we are in the cluster. Empty names switch off what needs them: the watch, Events about our own pod."""

    node_name: str
    pod_name: str
    namespace: str
    annotate_pods: bool


class ClusterSide:
    """Owns all that talks to the API server; ``start`` and ``stop`` once each, on the loop.

    Args:
        pods: the pods whose networks are complete, with their addresses.
        on_view: called on the loop when our Node is different.
        clock: CLOCK_BOOTTIME seconds.
    """

    def __init__(
        self,
        client: KubeClient,
        options: ClusterOptions,
        *,
        pods: Callable[[], Mapping[SandboxKey, PodAddress]],
        on_view: Callable[[NodeView], None],
        errors: ErrorsSeen,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._errors = errors
        self._on_view = on_view
        self._loop = asyncio.get_running_loop()
        self._executor = ThreadPoolExecutor(_CALL_THREADS, thread_name_prefix="kubernetes")
        self._own_pod = ObjectReference("Pod", options.pod_name, options.namespace) if options.pod_name else None
        self._tasks: list[asyncio.Task[None]] = []
        self.node = NodeView()
        """Our Node as it was last seen."""
        chance = client.timing.chance
        book = EventBook(
            options.node_name, unique=lambda: uuid.uuid4().hex[:16], wall=lambda: datetime.datetime.now(datetime.UTC)
        )
        self._events = EventWriter(
            client, book, in_thread=self._in_thread, on_error=self._failed, clock=clock, chance=chance
        )
        self._annotator: PodAnnotator | None = None
        if options.annotate_pods:
            self._annotator = PodAnnotator(
                client, wanted=pods, in_thread=self._in_thread, on_error=self._failed, chance=chance
            )
        self._watcher: Watcher[Any] | None = None
        if options.node_name:
            observer = OwnNode(on_loop=self._on_loop, on_view=self._seen, on_contact=self._contact)
            self._watcher = Watcher(client, own_node(options.node_name), observer)

    def start(self) -> None:
        """Begin to watch and to write."""
        spawn = self._loop.create_task
        self._tasks.append(spawn(self._events.run(), name="Events"))
        if self._annotator is not None:
            self._tasks.append(spawn(self._annotator.run(), name="pod annotations"))
        if self._watcher is not None:
            threading.Thread(target=self._watcher.run, name="node watch", daemon=True).start()

    async def stop(self) -> None:
        """Let go; threads that wait for the server end by themselves."""
        self._client.timing.stopping.set()
        if self._watcher is not None:
            self._watcher.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._executor.shutdown(wait=False, cancel_futures=True)

    # -- what the agent tells --------------------------------------------------------------------------------------

    def pod_without_address(self, pod: PodIdentity, error: CapacityError) -> None:
        """A pod waits for an address, or was refused one."""
        self._events.note(pod_without_address(pod, error))

    def saw_error(self, error: Exception) -> None:
        """Something failed; of interest here is what the role in use may not do, or that this pod may not use it."""
        denied = error
        # Without credentials a call is not even sent; the cause says which call for them was denied.
        while not isinstance(denied, AccessDeniedError) and isinstance(denied.__cause__, Exception):
            denied = denied.__cause__
        if isinstance(denied, AccessDeniedError) and self._own_pod is not None:
            self._events.note(missing_permission(self._own_pod, denied))

    def pods_changed(self) -> None:
        """A pod has got or given back an address."""
        if self._annotator is not None:
            self._annotator.pods_changed()

    # -- what it hears ---------------------------------------------------------------------------------------------

    def _seen(self, view: NodeView) -> None:
        if view.unschedulable != self.node.unschedulable:
            _log.info("the node is %s", "cordoned: its pool stays as it is" if view.unschedulable else "schedulable")
        self.node = view
        self._on_view(view)

    def _contact(self, error: VpcCniError | None) -> None:
        if error is None:
            _log.info("watching the Node object")
        else:
            self._failed("watch Node", error)

    def _failed(self, what: str, error: VpcCniError) -> None:
        self._errors.add(what, error)
        _log.warning("%s: %s; pods are not affected", what, error)

    # -- threads ---------------------------------------------------------------------------------------------------

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._executor, call)

    def _on_loop(self, call: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the agent is gone
            self._loop.call_soon_threadsafe(call)
