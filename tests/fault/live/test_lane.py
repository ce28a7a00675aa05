"""The lane of waiting ADDs: 110 of them on a full subnet disturb no DEL, and are served first come, first served."""

import statistics
import time
from collections.abc import Callable, Iterator

import pytest
from live_node import LiveNode, RunningPlugin, Sandbox, report, wait_until

pytestmark = pytest.mark.alone

COOLDOWN_SECONDS = 1
WAITING = 110
# The promise is 20 ms for the whole process on an idle machine; this is for one that runs other tests besides.
DEL_SECONDS = 0.1
TRY_AGAIN_LATER = 11


@pytest.fixture(scope="module")
def node(start_node: Callable[..., LiveNode]) -> LiveNode:
    """A node that holds 11 addresses and can get no more: its ENIs have room, its subnet has not."""
    started = start_node(
        instance_type="m5.xlarge",
        env={
            "IP_COOLDOWN_PERIOD": str(COOLDOWN_SECONDS),
            "WARM_IP_TARGET": "1",
            "MINIMUM_IP_TARGET": "11",
            "VPC_CNI_ADD_WAIT_SECONDS": "7",
        },
    )
    wait_until(lambda: started.pool()["free"] == 11, 5, "the first addresses")
    started.lab.faults.subnet_full("node-1")
    return started


@pytest.fixture
def pods(node: LiveNode) -> Iterator[list[Sandbox]]:
    """As many running pods as there are addresses; whatever runs after the test is deleted."""
    running = [node.sandbox(f"pod-{number}") for number in range(11)]
    for sandbox in running:
        assert node.call("ADD", sandbox).exit_code == 0
    yield running
    for container_id in node.pod_addresses():
        node.call("DEL", Sandbox("rest", running[0].netns, container_id))
    wait_until(lambda: node.pool()["free"] == 11, COOLDOWN_SECONDS + 3, "a free pool")
    assert node.pool()["quarantined"] == 0
    assert node.bugs() == []


def start_waiters(node: LiveNode, count: int) -> list[RunningPlugin]:
    """Start ADDs one after the other, so that their order in the lane is known."""
    waiters = []
    for number in range(count):
        waiters.append(node.start("ADD", node.sandbox(f"waiter-{number}")))
        if number < 10:  # the order of the first ones is what the tests look at
            wait_until(lambda: node.pool()["waiting"] == len(waiters), 5, "a waiting ADD")
    wait_until(lambda: node.pool()["waiting"] == count, 10, f"{count} waiting ADDs")
    return waiters


def test_dels_stay_quick_and_serve_the_first_waiters_while_the_others_learn_why_not(
    node: LiveNode, pods: list[Sandbox]
) -> None:
    waiters = start_waiters(node, WAITING)
    seconds, released = [], {}
    for sandbox in pods[:10]:
        released[node.pod_addresses()[sandbox.container_id]] = time.monotonic()
        seconds.append(node.call("DEL", sandbox).seconds)

    served = [waiter.outcome(COOLDOWN_SECONDS + 5) for waiter in waiters[:10]]
    assert [outcome.address for outcome in served] == list(released)
    assert sum(waiter.is_done for waiter in waiters) == len(served)
    finished = [waiter.started + outcome.seconds for waiter, outcome in zip(waiters[:10], served, strict=True)]
    rested = [at - released[outcome.address] for at, outcome in zip(finished, served, strict=True)]
    report(
        f"lane: DEL beside {WAITING} waiting ADDs p50 {statistics.median(seconds) * 1000:.1f} ms, "
        f"max {max(seconds) * 1000:.1f} ms; waiters served {min(rested):.2f} to {max(rested):.2f} s after the DEL"
    )
    assert min(rested) >= COOLDOWN_SECONDS
    assert statistics.median(seconds) < DEL_SECONDS

    in_vain = [waiter.outcome(COOLDOWN_SECONDS + 20) for waiter in waiters[10:]]
    report(
        f"lane: gave up after {in_vain[0].seconds:.1f} s: {in_vain[0].answer['msg']}; {in_vain[0].answer['details']}"
    )
    for outcome in in_vain:
        assert (outcome.exit_code, outcome.answer["code"]) == (1, TRY_AGAIN_LATER)
        assert "SubnetFull" in outcome.answer["msg"]
        assert node.info.subnet_id in outcome.answer["msg"]
    assert len(node.pod_addresses()) == len(pods)


def test_a_waiter_whose_plugin_dies_gets_nothing(node: LiveNode, pods: list[Sandbox]) -> None:
    first, second = start_waiters(node, 2)
    first.kill()
    wait_until(lambda: node.pool()["waiting"] == 1, 5, "the dead one's leave")
    node.call("DEL", pods[0])
    outcome = second.outcome(COOLDOWN_SECONDS + 5)
    assert outcome.exit_code == 0
    assert first.sandbox is not None
    assert first.sandbox.container_id not in node.pod_addresses()


def test_the_del_of_a_waiting_sandbox_ends_its_wait(node: LiveNode, pods: list[Sandbox]) -> None:
    [waiter] = start_waiters(node, 1)
    assert node.call("DEL", waiter.sandbox).exit_code == 0
    outcome = waiter.outcome(2)
    assert (outcome.exit_code, outcome.answer["code"]) == (1, TRY_AGAIN_LATER)
    assert "DEL" in outcome.answer["msg"]
    assert len(node.pod_addresses()) == len(pods)
