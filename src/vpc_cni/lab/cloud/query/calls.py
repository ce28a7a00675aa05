"""What was called: for the lab's status, for benches that count calls, and for tests."""

from collections import Counter, deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One answered call. ``code`` is empty on success; ``at`` is when it was admitted."""

    at: float
    service: str
    operation: str
    role_name: str
    code: str


@dataclass(slots=True)
class CallLog:
    """The latest calls and a count of all, by operation and by outcome."""

    recent: deque[CallRecord] = field(default_factory=lambda: deque(maxlen=10_000))
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, record: CallRecord) -> None:
        self.recent.append(record)
        self.counts[record.operation, record.code] += 1

    def count(self, operation: str, code: str | None = None) -> int:
        """Return how often ``operation`` was answered; with ``code`` (empty: success) only those answers."""
        return sum(n for (name, outcome), n in self.counts.items() if name == operation and code in (None, outcome))
