"""Tables that remember: reads of the past, forgetting, clocks that go back."""

import pytest

from vpc_cni.lab.cloud.timeline import HORIZON_SECONDS, Timeline


def test_the_past_reads_as_it_was() -> None:
    table: Timeline[str, int] = Timeline()
    table.put("a", 1, now=10)
    table.put("b", 2, now=20)
    table.put("a", 3, now=30)
    table.drop("b", now=40)
    assert [table.at("a", moment) for moment in (9, 10, 29, 30, 99)] == [None, 1, 1, 3, 3]
    assert [table.at("b", moment) for moment in (19, 20, 39, 40, 99)] == [None, 2, 2, None, None]
    assert table.items_at(25) == [("a", 1), ("b", 2)]
    assert table.values_at(35) == [3, 2]
    assert table.values() == table.values_at(99) == [3]
    assert "b" not in table


def test_what_is_long_over_is_forgotten_but_the_standing_value_stays() -> None:
    table: Timeline[str, int] = Timeline()
    table.put("steady", 1, now=0)
    for moment in range(1, 100):
        table.put("busy", moment, now=moment * HORIZON_SECONDS / 10)
    table.put("gone", 1, now=0)
    table.drop("gone", now=10 * HORIZON_SECONDS)
    table.put("busy", 0, now=12 * HORIZON_SECONDS)
    assert table.at("steady", 11.5 * HORIZON_SECONDS) == 1
    assert len(table._past["busy"]) <= 12
    assert "gone" not in table._past


def test_a_key_that_came_back_is_not_forgotten() -> None:
    table: Timeline[str, int] = Timeline()
    table.put("a", 1, now=0)
    table.drop("a", now=1)
    table.put("a", 2, now=2)
    table.put("b", 1, now=2 + 2 * HORIZON_SECONDS)
    assert table.at("a", 5) == 2


def test_a_clock_set_back_does_not_reorder_the_past() -> None:
    table: Timeline[str, int] = Timeline()
    table.put("a", 1, now=100)
    table.put("a", 2, now=50)
    assert table.get("a") == 2
    assert table.at("a", 100) == 2
    assert table.at("a", 99) is None


def test_dropping_what_is_not_there_is_an_error() -> None:
    table: Timeline[str, int] = Timeline()
    with pytest.raises(KeyError):
        table.drop("a", now=1)
