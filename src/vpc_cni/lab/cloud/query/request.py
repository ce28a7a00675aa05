"""HTTP as the faces of the cloud see it: plain requests in, plain replies out."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request that has arrived whole. Header names are lower case; ``path`` is as sent, without the query."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: str = ""
    body: bytes = b""
    peer: str = ""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An answer. ``hop_limit`` is the IP TTL to send it with; None keeps the system's."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)
    hop_limit: int | None = None
