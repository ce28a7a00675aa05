"""Events: what people see in ``kubectl describe``. What is written when is decided here, purely; ``client`` writes.

A bad day has thousands of occurrences: a full subnet refuses every pod, again with each try of kubelet. So

- occurrences of the same reason about the same object are one Event, whose count grows;
- one Event is written again after 10 s at the earliest, then after ever longer pauses up to 5 minutes, so that what
  lasts costs about a write in 5 minutes for each object;
- all Events of the agent together pass a token bucket (25, then one in 2 s);
- at most 256 objects and reasons are remembered; the one that was quiet longest gives way.

Source: Kubernetes API reference, Event core/v1; the aggregation follows client-go tools/record/events_cache.go.
"""

import datetime
import enum
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

COMPONENT = "vpc-cni"

_BUCKET_SIZE = 25.0
_BUCKET_PER_SECOND = 0.5
_FIRST_GAP_SECONDS = 10.0
_LONGEST_GAP_SECONDS = 300.0
_REMEMBERED = 256
# API servers drop Events after an hour; one that may be gone is written anew.
_LIFE_SECONDS = 3000.0
# Limits of the API: validation of Event, and names of objects.
_MESSAGE_CHARACTERS = 1024
_NAME_CHARACTERS = 200


class EventType(enum.StrEnum):
    """How an Event is shown."""

    NORMAL = "Normal"
    WARNING = "Warning"


class ObjectReference(msgspec.Struct, frozen=True, rename="camel"):
    """What an Event is about. ``kubectl describe`` finds Events by name, namespace and uid."""

    kind: str
    name: str
    namespace: str = ""
    uid: str = ""
    api_version: str = "v1"


class EventMeta(msgspec.Struct, frozen=True):
    """Name of an Event."""

    name: str
    namespace: str


class EventSource(msgspec.Struct, frozen=True):
    """Who says it."""

    component: str
    host: str


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """A core/v1 Event as it is created; times are RFC 3339 in whole seconds."""

    metadata: EventMeta
    involved_object: ObjectReference
    type: EventType
    reason: str
    message: str
    count: int
    first_timestamp: str
    last_timestamp: str
    source: EventSource
    reporting_component: str
    reporting_instance: str
    action: str = ""


class EventPatch(msgspec.Struct, frozen=True, rename="camel"):
    """What changes when it happens again."""

    message: str
    count: int
    last_timestamp: str


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened to an object. ``reason`` is one CamelCase word of a fixed set, never free text."""

    about: ObjectReference
    type: EventType
    reason: str
    message: str
    action: str = ""


Key = tuple[str, str, str, str]


@dataclass(slots=True)
class _Entry:
    """An Event as far as it is known here; ``name`` is empty until it was written."""

    latest: Occurrence
    first_at: datetime.datetime
    last_at: datetime.datetime
    written_count: int = 0
    pending: int = 0
    name: str = ""
    named_at: float = 0.0
    gap_seconds: float = _FIRST_GAP_SECONDS
    due_at: float = 0.0


@dataclass(frozen=True, slots=True)
class EventWrite:
    """Something to write now: create ``event``, or patch the one of its name when ``is_new`` is false.

    ``added`` is how many occurrences it tells for the first time.
    """

    key: Key
    event: Event
    is_new: bool
    added: int

    @property
    def patch(self) -> EventPatch:
        return EventPatch(self.event.message, self.event.count, self.event.last_timestamp)


class EventBook:
    """Collects occurrences and says which Events to write. Belongs to one thread.

    Args:
        host: name of the node.
        unique: a short text that it never returned before; part of the names of Events.
        wall: the time of day in UTC, for people.
    """

    def __init__(self, host: str, *, unique: Callable[[], str], wall: Callable[[], datetime.datetime]) -> None:
        self._host = host
        self._unique = unique
        self._wall = wall
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._tokens = _BUCKET_SIZE
        self._tokens_at: float | None = None
        self.dropped = 0
        """Occurrences that were forgotten before they were written."""

    def note(self, occurrence: Occurrence) -> None:
        """Take in something that happened."""
        about = occurrence.about
        key = (about.kind, about.namespace, about.uid or about.name, occurrence.reason)
        entry, wall = self._entries.get(key), self._wall()
        if entry is None:
            self._make_room()
            entry = self._entries[key] = _Entry(occurrence, first_at=wall, last_at=wall)
        self._entries.move_to_end(key)
        entry.latest, entry.last_at = occurrence, wall
        entry.pending += 1

    def _make_room(self) -> None:
        if len(self._entries) >= _REMEMBERED:
            quiet = next((key for key, entry in self._entries.items() if not entry.pending), next(iter(self._entries)))
            self.dropped += self._entries.pop(quiet).pending

    def take(self, now: float) -> EventWrite | None:
        """Return one Event to write now, None when none is due or allowed; ``now`` is CLOCK_BOOTTIME seconds."""
        self._refill(now)
        if self._tokens < 1:
            return None
        for key, entry in self._entries.items():
            if entry.pending and entry.due_at <= now:
                self._tokens -= 1
                return self._write(key, entry, now)
        return None

    def next_at(self, now: float) -> float | None:
        """Return when :meth:`take` may have something, None while nothing is pending."""
        due = min((entry.due_at for entry in self._entries.values() if entry.pending), default=None)
        if due is None:
            return None
        token_at = now + max(0.0, 1 - self._tokens) / _BUCKET_PER_SECOND
        return max(due, token_at)

    def failed(self, write: EventWrite, *, is_gone: bool = False) -> None:
        """Take back a write that did not succeed: it becomes due again when its pause is over.

        Args:
            is_gone: the server no longer has the Event: it is created anew.
        """
        entry = self._entries.get(write.key)
        if entry is None:
            return
        entry.pending += write.added
        entry.written_count -= write.added
        if is_gone or write.is_new:
            entry.name = ""

    def forget(self, write: EventWrite) -> None:
        """Drop an Event that nobody wants: its object is gone, or the server will never take it."""
        self._entries.pop(write.key, None)

    def _write(self, key: Key, entry: _Entry, now: float) -> EventWrite:
        is_new = not entry.name or now - entry.named_at > _LIFE_SECONDS
        if is_new:
            entry.name = f"{entry.latest.about.name[:_NAME_CHARACTERS]}.{self._unique()}"
            entry.named_at = now
        added, entry.pending = entry.pending, 0
        entry.written_count += added
        entry.due_at = now + entry.gap_seconds
        entry.gap_seconds = min(_LONGEST_GAP_SECONDS, entry.gap_seconds * 2)
        return EventWrite(key, self._event(entry), is_new, added)

    def _event(self, entry: _Entry) -> Event:
        latest = entry.latest
        return Event(
            # Events of objects without a namespace live in this one. Source: validation of Event.
            metadata=EventMeta(entry.name, latest.about.namespace or "default"),
            involved_object=latest.about,
            type=latest.type,
            reason=latest.reason,
            message=latest.message[:_MESSAGE_CHARACTERS],
            count=entry.written_count,
            first_timestamp=_rfc3339(entry.first_at),
            last_timestamp=_rfc3339(entry.last_at),
            source=EventSource(COMPONENT, self._host),
            reporting_component=COMPONENT,
            reporting_instance=self._host,
            action=latest.action,
        )

    def _refill(self, now: float) -> None:
        if self._tokens_at is not None:
            self._tokens = min(_BUCKET_SIZE, self._tokens + (now - self._tokens_at) * _BUCKET_PER_SECOND)
        self._tokens_at = now


def _rfc3339(at: datetime.datetime) -> str:
    return at.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
