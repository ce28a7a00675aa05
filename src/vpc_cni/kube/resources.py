"""Which resources the agent speaks of, and the paths of their requests. Pure.

Source: Kubernetes documentation, "API concepts": resource URIs, selectors, paging, watches.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

from vpc_cni.kube.objects import Node, Pod

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """A resource of the API and the struct that its objects become. ``api`` is ``api/v1`` or ``apis/GROUP/VERSION``."""

    plural: str
    kind: str
    type: type[T]
    api: str = "api/v1"


NODES = Resource("nodes", "Node", Node)
PODS = Resource("pods", "Pod", Pod)


@dataclass(frozen=True, slots=True)
class Selection(Generic[T]):
    """Which objects of a resource to list and watch: never all of a cluster.

    Args:
        field_selector: such as ``metadata.name=node-1``; the server, not we, leaves the others out.
        namespace: empty for cluster-wide resources and for all namespaces.
    """

    resource: Resource[T]
    field_selector: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.resource.plural} with {self.field_selector}"


def own_node(name: str) -> Selection[Node]:
    """Select the Node object of this node alone."""
    return Selection(NODES, f"metadata.name={name}")


def own_pods(node_name: str) -> Selection[Pod]:
    """Select the pods of this node."""
    return Selection(PODS, f"spec.nodeName={node_name}")


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request to the API server; ``verb`` and ``resource`` are the words of RBAC, for errors.

    ``body`` is JSON of ``content_type``; None for none.
    """

    method: str
    path: str
    verb: str
    resource: str
    body: bytes | None = field(default=None, repr=False)
    content_type: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.path.partition('?')[0]}"


def path_of(
    resource: Resource[T],
    *,
    namespace: str = "",
    name: str = "",
    subresource: str = "",
    query: Mapping[str, str | int] | None = None,
) -> str:
    """Return path and query of a resource or of one of its objects."""
    parts = ["", resource.api]
    if namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource.plural)
    parts += [quote(part, safe="") for part in (name, subresource) if part]
    return "/".join(parts) + (f"?{urlencode(query)}" if query else "")
