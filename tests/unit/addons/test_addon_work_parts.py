"""Room in a crew, waits between tries, and steps at which to die."""

import random

import pytest

from vpc_cni.addons.work.backoff import Backoff
from vpc_cni.addons.work.crew import CrewSize, room
from vpc_cni.addons.work.steps import Step, crash_at
from vpc_cni.errors import ConfigurationError

CREW = CrewSize(size=2, limit=4, patience=0.5)


@pytest.mark.parametrize(
    ("running", "free"),
    [
        ([], 2),
        ([0.1], 1),
        ([0.1, 0.2], 0),
        ([0.1, 9.0], 1),
        ([9.0, 9.0], 2),
        ([9.0, 9.0, 9.0], 1),
        ([9.0, 9.0, 9.0, 9.0], 0),
        ([0.1, 0.1, 9.0, 9.0], 0),
    ],
)
def test_tasks_that_are_stuck_make_room_up_to_a_limit(running: list[float], free: int) -> None:
    assert room(running, CREW) == free


def test_waits_double_up_to_the_longest_and_are_cut_at_random() -> None:
    backoff, chance = Backoff(1.0, 60.0), random.Random(5)  # noqa: S311
    for attempts, whole in ((0, 1.0), (1, 2.0), (5, 32.0), (6, 60.0), (5000, 60.0)):
        waits = {backoff.seconds(attempts, chance) for _ in range(50)}
        assert whole / 2 <= min(waits) < max(waits) <= whole
        assert len(waits) > 40


@pytest.mark.parametrize("text", ["nowhere", "claimed:0", "claimed:x", ":"])
def test_a_step_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        crash_at(text)


def test_nothing_happens_at_other_steps() -> None:
    reach = crash_at("ended:2")
    for step in Step:
        reach(step)
