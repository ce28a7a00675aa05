"""The last errors of the agent, for ``vpc-cni node status``."""

import datetime
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass

from vpc_cni.errors import CloudError, VpcCniError

_KEPT = 20


@dataclass(frozen=True, slots=True)
class SeenError:
    """One error as people read it. ``at`` is RFC 3339 wall-clock time."""

    at: str
    operation: str
    code: str
    message: str
    hint: str


class ErrorsSeen:
    """Keeps the newest errors, at most 20; the same error twice in a row is one."""

    def __init__(self) -> None:
        self._errors: deque[SeenError] = deque(maxlen=_KEPT)
        self._listener: Callable[[Exception], None] | None = None
        # What nobody was told of, since nobody listened yet.
        self._untold: deque[Exception] = deque(maxlen=_KEPT)

    def tell(self, listener: Callable[[Exception], None]) -> None:
        """Tell a listener of each error, and of those before it listened: an agent meets errors before its cluster."""
        self._listener = listener
        while self._untold:
            listener(self._untold.popleft())

    def add(self, operation: str, error: Exception) -> None:
        """Remember an error of ``operation`` (an EC2 operation, or what the agent was doing)."""
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        seen = SeenError(at, operation, _code(error), _message(error), getattr(error, "hint", ""))
        if self._errors and _same(self._errors[-1], seen):
            self._errors.pop()
        self._errors.append(seen)
        if self._listener is None:
            self._untold.append(error)
        else:
            self._listener(error)

    def as_json(self) -> list[dict[str, str]]:
        """Newest last."""
        return [asdict(error) for error in self._errors]


def _same(one: SeenError, other: SeenError) -> bool:
    return (one.operation, one.code, one.message) == (other.operation, other.code, other.message)


def _code(error: Exception) -> str:
    if isinstance(error, CloudError):
        return error.code or type(error).__name__
    return type(error).__name__


def _message(error: Exception) -> str:
    return error.message if isinstance(error, VpcCniError) else str(error)
