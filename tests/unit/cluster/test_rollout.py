"""How far a roll-out is, and why pods do not start."""

from typing import Any

import pytest

from vpc_cni.cluster import find_troubles, judge_rollout

DONE = {
    "observedGeneration": 2,
    "desiredNumberScheduled": 3,
    "updatedNumberScheduled": 3,
    "numberAvailable": 3,
}


def daemon_set(**status: Any) -> dict[str, Any]:
    return {"metadata": {"generation": 2}, "status": {**DONE, **status}}


@pytest.mark.parametrize(
    ("status", "is_done"),
    [
        ({}, True),
        ({"observedGeneration": 1}, False),
        ({"updatedNumberScheduled": 2}, False),
        ({"numberAvailable": 2, "numberUnavailable": 1}, False),
        ({"numberUnavailable": 1}, False),
        ({"desiredNumberScheduled": 0, "updatedNumberScheduled": 0, "numberAvailable": 0}, True),
    ],
)
def test_a_rollout_is_done_when_every_pod_is_new_and_available(status: dict[str, Any], is_done: bool) -> None:
    assert judge_rollout(daemon_set(**status)).is_done is is_done


def test_a_change_that_nobody_has_seen_is_not_done() -> None:
    progress = judge_rollout({"metadata": {"generation": 1}})
    assert not progress.is_done
    assert "not been seen" in str(progress)


def test_containers_that_cannot_start_are_named() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    starting = {"reason": "ContainerCreating"}
    pods = [
        {"metadata": {"name": "a"}, "status": {"containerStatuses": [{"name": "x", "state": {"waiting": waiting}}]}},
        {
            "metadata": {"name": "b"},
            "status": {"initContainerStatuses": [{"name": "y", "state": {"waiting": starting}}]},
        },
        {"metadata": {"name": "c"}, "status": {"containerStatuses": [{"name": "x", "state": {"running": {}}}]}},
        {"metadata": {"name": "d"}},
    ]
    assert find_troubles(pods) == ("pod a, container x: ImagePullBackOff: no such image",)
