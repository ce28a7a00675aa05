"""A table that remembers what it said a while ago, so that reads can lag behind writes.

EC2's describe calls and instance metadata are eventually consistent. Each table therefore keeps the versions of the
last minutes; a face of the cloud reads the table as it was ``lag`` seconds ago.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

HORIZON_SECONDS = 600.0


class Timeline(Generic[K, V]):
    """Values by key with their recent past. Lags longer than ``HORIZON_SECONDS`` read the oldest version kept."""

    def __init__(self) -> None:
        self._now: dict[K, V] = {}
        self._past: dict[K, list[tuple[float, V | None]]] = {}
        self._removed: deque[tuple[float, K]] = deque()
        self._written_at = float("-inf")

    def put(self, key: K, value: V, now: float) -> None:
        """Set ``key`` from ``now`` on."""
        self._now[key] = value
        self._note(key, value, now)

    def drop(self, key: K, now: float) -> None:
        """Remove ``key`` from ``now`` on; it must be present."""
        del self._now[key]
        self._note(key, None, now)
        self._removed.append((now, key))

    def get(self, key: K) -> V | None:
        return self._now.get(key)

    def __getitem__(self, key: K) -> V:
        return self._now[key]

    def __contains__(self, key: object) -> bool:
        return key in self._now

    def __len__(self) -> int:
        return len(self._now)

    def values(self) -> list[V]:
        """Current values in order of first insertion."""
        return list(self._now.values())

    def items(self) -> list[tuple[K, V]]:
        return list(self._now.items())

    def at(self, key: K, moment: float) -> V | None:
        """Return the value that ``key`` had at ``moment``; None when it did not exist then."""
        if moment >= self._written_at:
            return self._now.get(key)
        versions = self._past.get(key, [])
        index = bisect_right(versions, moment, key=_time_of)
        return versions[index - 1][1] if index else None

    def values_at(self, moment: float) -> list[V]:
        """Return all values as of ``moment``, in order of first insertion."""
        return [value for _, value in self.items_at(moment)]

    def items_at(self, moment: float) -> list[tuple[K, V]]:
        if moment >= self._written_at:
            return list(self._now.items())
        return list(self._items_then(moment))

    def _items_then(self, moment: float) -> Iterator[tuple[K, V]]:
        for key in self._past:
            value = self.at(key, moment)
            if value is not None:
                yield key, value

    def _note(self, key: K, value: V | None, now: float) -> None:
        # A clock that was set back must not make the past unsearchable: time never falls within a table.
        now = max(now, self._written_at)
        self._written_at = now
        versions = self._past.setdefault(key, [])
        versions.append((now, value))
        oldest_useful = bisect_right(versions, now - HORIZON_SECONDS, key=_time_of) - 1
        if oldest_useful > 0:
            del versions[:oldest_useful]
        self._forget_removed(now)

    def _forget_removed(self, now: float) -> None:
        while self._removed and self._removed[0][0] < now - HORIZON_SECONDS:
            _, key = self._removed.popleft()
            if key not in self._now:
                self._past.pop(key, None)


def _time_of(version: tuple[float, object]) -> float:
    return version[0]
