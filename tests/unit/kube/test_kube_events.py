"""What is written when: aggregation, pauses, the token bucket, bounded memory."""

import datetime
import itertools

from vpc_cni.kube import EventBook, EventType, EventWrite, ObjectReference, Occurrence


def occurrence(pod: int = 0, reason: str = "SubnetFull", message: str = "subnet-1 is full") -> Occurrence:
    return Occurrence(ObjectReference("Pod", f"web-{pod}", "shop", f"uid-{pod}"), EventType.WARNING, reason, message)


def book() -> EventBook:
    numbers = itertools.count()
    wall = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
    return EventBook("node-1", unique=lambda: str(next(numbers)), wall=lambda: wall)


def taken(events: EventBook, now: float) -> list[EventWrite]:
    return list(iter(lambda: events.take(now), None))


def test_the_same_again_is_one_event_whose_count_grows() -> None:
    events = book()
    for _ in range(3):
        events.note(occurrence())
    (first,) = taken(events, 0)
    for number in range(5):
        events.note(occurrence(message=f"try {number}"))
    assert taken(events, 9) == []
    (again,) = taken(events, 10)
    assert (first.is_new, first.event.count, first.added) == (True, 3, 3)
    assert (again.is_new, again.patch.count, again.patch.message, again.added) == (False, 8, "try 4", 5)
    assert again.event.metadata.name == first.event.metadata.name


def test_what_lasts_is_written_ever_more_seldom() -> None:
    events = book()
    writes = []
    for second in range(2000):
        events.note(occurrence())
        writes += [(second, each) for each in taken(events, second)]
    moments = [second for second, _ in writes]
    assert moments == [0, 10, 30, 70, 150, 310, 610, 910, 1210, 1510, 1810]
    assert writes[-1][1].event.count == 1811


def test_a_day_on_which_every_pod_fails_does_not_flood_the_server() -> None:
    events = book()
    written = 0
    for second in range(600):
        for pod in range(200):
            events.note(occurrence(pod))
        written += len(taken(events, float(second)))
    assert written <= 25 + 600 / 2
    assert written >= 200, "every pod is told of once"


def test_an_event_that_the_server_has_dropped_by_now_is_written_anew() -> None:
    events = book()
    events.note(occurrence())
    (first,) = taken(events, 0)
    events.note(occurrence())
    (later,) = taken(events, 3001)
    assert later.is_new
    assert later.event.metadata.name != first.event.metadata.name


def test_different_reasons_and_objects_are_different_events() -> None:
    events = book()
    for each in (occurrence(0), occurrence(1), occurrence(0, "EniLimit")):
        events.note(each)
    assert len({each.event.metadata.name for each in taken(events, 0)}) == 3


def test_a_write_that_failed_is_tried_again_after_its_pause() -> None:
    events = book()
    events.note(occurrence())
    (write,) = taken(events, 0)
    events.failed(write)
    assert events.next_at(0) == 10
    (again,) = taken(events, 10)
    assert (again.is_new, again.event.count) == (True, 1)
    events.note(occurrence())
    (patch,) = taken(events, 30)
    events.failed(patch, is_gone=True)
    (anew,) = taken(events, 70)
    assert (patch.is_new, anew.is_new, anew.event.count) == (False, True, 2)


def test_an_event_whose_object_is_gone_is_forgotten() -> None:
    events = book()
    events.note(occurrence())
    (write,) = taken(events, 0)
    events.forget(write)
    events.failed(write)
    assert events.next_at(0) is None


def test_memory_is_bounded_and_the_quiet_give_way_first() -> None:
    events = book()
    events.note(occurrence(0))
    taken(events, 0)  # written, quiet
    for pod in range(1, 256):
        events.note(occurrence(pod))
    events.note(occurrence(1000))
    assert events.dropped == 0, "the written one gave way"
    events.note(occurrence(1001))
    assert events.dropped == 1


def test_nothing_to_write_wakes_nobody() -> None:
    events = book()
    assert events.next_at(5) is None
    for pod in range(26):
        events.note(occurrence(pod))
    assert len(taken(events, 5)) == 25
    assert events.next_at(5) == 7, "the next token"
    assert len(taken(events, 7)) == 1


def test_messages_and_names_are_as_long_as_the_api_allows() -> None:
    events = book()
    about = ObjectReference("Pod", "p" * 253, "shop", "u")
    events.note(Occurrence(about, EventType.NORMAL, "Cooling", "m" * 5000))
    (write,) = taken(events, 0)
    assert len(write.event.message) == 1024
    assert len(write.event.metadata.name) <= 253
    assert write.event.involved_object.name == "p" * 253
