"""Requests to the API server: get, list, watch, patch, Events. Blocking, thread safe.

Each call is bounded in time and tried again a few times where that can help and harms nothing: every request that
this module sends may be repeated. A request that the server refuses for good fails at once.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from vpc_cni.errors import KubernetesConflictError, KubernetesError, KubernetesExpiredError
from vpc_cni.kube._http import Limits, LineStream, Transport
from vpc_cni.kube.access import ClusterAccess
from vpc_cni.kube.events import Event, EventPatch
from vpc_cni.kube.objects import Page, decode
from vpc_cni.kube.resources import NODES, ApiRequest, Resource, Selection, path_of
from vpc_cni.kube.timing import Backoff, Timing

T = TypeVar("T")
R = TypeVar("R")

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

_PAGE = 200
_ATTEMPTS = 4
_BACKOFF = Backoff(base_seconds=0.5, ceiling_seconds=8.0)
_PATIENCE_SECONDS = 30.0
_EVENTS: Resource[None] = Resource("events", "Event", type(None))


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """All objects of a selection, in the server's order, and the moment from which a watch goes on."""

    items: tuple[T, ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class NodeCondition:
    """A condition of a Node. ``status`` is ``True``, ``False`` or ``Unknown``; times are RFC 3339."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: str
    last_heartbeat_time: str


class KubeClient:
    """A client of one API server.

    Raises (each method):
        KubernetesError: the server refused or was not reached, repeatedly where that is worth it.
        ConfigurationError: certificates cannot be used.
    """

    def __init__(
        self, access: ClusterAccess, *, timing: Timing | None = None, limits: Limits | None = None, version: str = ""
    ) -> None:
        self.timing = timing or Timing()
        self._transport = Transport(access, limits or Limits(), now=self.timing.now, version=version)

    def close(self) -> None:
        """Close idle connections; the client can go on being used."""
        self._transport.close()

    def get(self, resource: Resource[T], name: str, *, namespace: str = "") -> T:
        """Return one object."""
        request = ApiRequest("GET", path_of(resource, namespace=namespace, name=name), "get", resource.plural)
        found: T = decode(self._call(request), resource.type, str(request))
        return found

    def list(self, selection: Selection[T], *, from_cache: bool = False) -> Listing[T]:
        """Return all objects of a selection, fetched in pages.

        Args:
            from_cache: what the server has in memory will do, however old: cheap for it, for a first look.
        """
        query: dict[str, str | int] = {"limit": _PAGE}
        if from_cache:
            query["resourceVersion"] = "0"
        try:
            return self._list_pages(selection, query)
        except KubernetesExpiredError:  # the pages of this list are no longer to be had: once more, in one piece
            return self._list_pages(selection, {})

    def _list_pages(self, selection: Selection[T], first: Mapping[str, str | int]) -> Listing[T]:
        items: list[T] = []
        query = first
        while True:
            request = self._selecting(selection, "list", query)
            page = decode(self._call(request), Page[selection.resource.type], str(request))  # type: ignore[name-defined]
            items += page.items or []
            if not page.metadata.continue_:
                return Listing(tuple(items), page.metadata.resource_version)
            query = {"limit": _PAGE, "continue": page.metadata.continue_}

    def watch(self, selection: Selection[T], *, resource_version: str, seconds: int) -> tuple[ApiRequest, LineStream]:
        """Open a watch from a moment on; ``seconds`` is when the server shall end it. One attempt only."""
        query: dict[str, str | int] = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": seconds,
        }
        request = self._selecting(selection, "watch", query)
        return request, self._transport.stream(request)

    @staticmethod
    def _selecting(selection: Selection[T], verb: str, query: Mapping[str, str | int]) -> ApiRequest:
        resource = selection.resource
        full = {"fieldSelector": selection.field_selector, **query}
        return ApiRequest("GET", path_of(resource, namespace=selection.namespace, query=full), verb, resource.plural)

    def patch_annotations(
        self,
        resource: Resource[T],
        name: str,
        annotations: Mapping[str, str | None],
        *,
        namespace: str = "",
        uid: str = "",
    ) -> T:
        """Set annotations, or remove those that are None; return the object.

        Args:
            uid: which object is meant, where a successor may have its name; empty for whichever has it.

        Raises:
            KubernetesConflictError: the name belongs to another object now.
        """
        metadata: dict[str, object] = {"annotations": dict(annotations)}
        if uid:
            metadata["uid"] = uid
        path = path_of(resource, namespace=namespace, name=name)
        body = msgspec.json.encode({"metadata": metadata})
        request = ApiRequest("PATCH", path, "patch", resource.plural, body, MERGE_PATCH)
        patched: T = decode(self._call(request), resource.type, str(request))
        return patched

    def patch_node_condition(self, node_name: str, condition: NodeCondition) -> None:
        """Set one condition of a Node and leave the others alone."""
        fields = {
            "type": condition.type,
            "status": condition.status,
            "reason": condition.reason,
            "message": condition.message,
            "lastTransitionTime": condition.last_transition_time,
            "lastHeartbeatTime": condition.last_heartbeat_time,
        }
        # The strategic patch merges lists of conditions by type; a merge patch would replace the whole list.
        body = msgspec.json.encode({"status": {"conditions": [fields]}})
        path = path_of(NODES, name=node_name, subresource="status")
        self._call(ApiRequest("PATCH", path, "patch", "nodes/status", body, STRATEGIC_PATCH))

    def create_event(self, event: Event) -> None:
        """Write an Event. One of the same name that is there already is this one: its answer was lost."""
        namespace = event.metadata.namespace
        body = msgspec.json.encode(event)
        path = path_of(_EVENTS, namespace=namespace)
        with contextlib.suppress(KubernetesConflictError):
            self._call(ApiRequest("POST", path, "create", "events", body, JSON))

    def patch_event(self, namespace: str, name: str, patch: EventPatch) -> None:
        """Write that what an Event tells has happened again."""
        path = path_of(_EVENTS, namespace=namespace, name=name)
        self._call(ApiRequest("PATCH", path, "patch", "events", msgspec.json.encode(patch), MERGE_PATCH))

    def _call(self, request: ApiRequest) -> bytes:
        return repeat(lambda: self._transport.send(request), self.timing)


def repeat(call: Callable[[], R], timing: Timing) -> R:
    """Make a call, again after failures that may pass, within 30 s or so.

    Raises:
        KubernetesError: the last failure.
    """
    deadline = timing.now() + _PATIENCE_SECONDS
    for attempt in _attempts():
        try:
            return call()
        except KubernetesError as err:
            if not err.retryable or isinstance(err, KubernetesExpiredError) or attempt == _ATTEMPTS:
                raise
            delay = _BACKOFF.delay(attempt, chance=timing.chance(), retry_after_seconds=err.retry_after_seconds)
            if timing.now() + delay > deadline or not timing.pause(delay):
                raise
    raise AssertionError("the last attempt returns or raises")


def _attempts() -> Iterator[int]:
    yield from range(1, _ATTEMPTS + 1)
