"""What the agent reads of Kubernetes objects: small structs that hold the needed fields and skip the rest.

A Node is 10 to 50 KB of JSON, most of it lists of images; what is kept here is a few hundred bytes. Source: the
Kubernetes API reference, core/v1 and meta/v1.
"""

from typing import Any, Generic, TypeVar

import msgspec

from vpc_cni.errors import KubernetesError

T = TypeVar("T")

MALFORMED = "Malformed"
"""``reason`` of an error about an answer that cannot be read."""


class ObjectMeta(msgspec.Struct, frozen=True, rename="camel"):
    """Who an object is. ``resource_version`` is opaque: compare for equality only."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Taint(msgspec.Struct, frozen=True):
    """Why pods keep away from a node."""

    key: str = ""
    effect: str = ""
    value: str = ""


class NodeSpec(msgspec.Struct, frozen=True):
    """What is wanted of a node."""

    unschedulable: bool = False
    taints: tuple[Taint, ...] | None = None


class Allocatable(msgspec.Struct, frozen=True):
    """What a node has for pods. ``pods`` is a quantity, in practice a decimal number; empty when not said."""

    pods: str = ""


class NodeStatus(msgspec.Struct, frozen=True):
    """What kubelet reports."""

    allocatable: Allocatable | None = None


class Node(msgspec.Struct, frozen=True):
    """A core/v1 Node."""

    metadata: ObjectMeta = ObjectMeta()
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    """Where a pod runs, and whether it has a network of its own."""

    node_name: str = ""
    host_network: bool = False


class PodStatus(msgspec.Struct, frozen=True):
    """What kubelet reports. ``pod_ip`` is empty until the sandbox exists."""

    phase: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")


class Pod(msgspec.Struct, frozen=True):
    """A core/v1 Pod."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class StatusCause(msgspec.Struct, frozen=True):
    """Which field of a request was refused."""

    field: str = ""


class StatusDetails(msgspec.Struct, frozen=True, rename="camel"):
    """More about a refusal."""

    retry_after_seconds: int | None = None
    causes: tuple[StatusCause, ...] | None = None


class Status(msgspec.Struct, frozen=True):
    """A meta/v1 Status: how the server says that something failed."""

    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails | None = None


class ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    """Where a list ends, and from where to go on."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. Go writes an empty list as null."""

    metadata: ListMeta = ListMeta()
    items: list[T] | None = None


class WatchLine(msgspec.Struct, frozen=True):
    """One line of a watch: what happened, and the object as it was sent."""

    type: str
    object: msgspec.Raw


class Bookmark(msgspec.Struct, frozen=True):
    """An object of which only the resource version counts."""

    metadata: ObjectMeta


def decode(data: bytes | msgspec.Raw, kind: Any, what: str) -> Any:
    """Decode JSON from the server into ``kind``, a struct or a parametrised one.

    Raises:
        KubernetesError: with reason ``MALFORMED``; ``what`` names the answer in it.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    # Invalid UTF-8 and deep nesting surface as errors of their own.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        raise KubernetesError(
            f"{what}: the answer is not what the Kubernetes API promises: {err}",
            reason=MALFORMED,
            hint="check that the address leads to an API server and not to a proxy",
        ) from err
