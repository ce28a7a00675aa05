"""SIGTERM: the agent hands over within 5 s, no ADD fails meanwhile, no DEL is lost, no packet of a pod."""

import threading
import time
from ipaddress import IPv4Address

import pytest
from fault_agent import NewAgent, Tell
from fault_churn import Churn
from fault_runtime import NodeRuntime, Pinger, Sandbox
from fault_stage import Stage
from fault_truth import read_checkpoint

from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

RESTARTS = 8
LONGEST_STOP_SECONDS = 5.0
LONGEST_SILENCE_SECONDS = 0.5


class Listener:
    """Pings one pod all the time; ``longest_silence`` is the most seconds between two answers."""

    def __init__(self, peer: Netns, address: IPv4Address) -> None:
        self._pinger = Pinger(peer)
        self._address = address
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self.longest_silence = 0.0
        self.answers = 0

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._pinger.close()

    def _listen(self) -> None:
        last = time.monotonic()
        while not self._stopping.wait(0.01):
            answered = self._pinger.reaches(self._address, within_seconds=0.2)
            now = time.monotonic()
            self.longest_silence = max(self.longest_silence, now - last)
            if answered:
                last, self.answers = now, self.answers + 1


@pytest.mark.alone
@pytest.mark.slow(seconds=9)
def test_rolling_restarts_under_load_fail_no_pod(
    lab: Lab, peer: Netns, new_agent: NewAgent, seed: int, tell: Tell
) -> None:
    stage = Stage.set_up(lab, new_agent({"WARM_IP_TARGET": "3", "IP_COOLDOWN_PERIOD": "1"}), peer)
    stage.run()
    lab.faults.latency("*PrivateIpAddresses", 0.1)
    quiet = stage.add(Sandbox.create("quiet"))
    assert quiet.address is not None
    churn = Churn(NodeRuntime(stage.agent.node), peer, seed, workers=4, wanted=1_000_000, book=stage.book)
    stops = []
    churn.start()
    try:
        with Listener(peer, quiet.address) as listener:
            for _ in range(RESTARTS):
                time.sleep(0.3)
                stops.append(stage.agent.terminate())
                stage.agent.start().wait_serving()
    finally:
        churn.stop()
    churn.raise_problem()
    assert churn.failures == {}
    stage.settle()
    stops.append(stage.agent.terminate())
    assert read_checkpoint(stage.agent.run_dir) == {(s.container_id, str(s.address)) for s in stage.book.living()}
    assert max(stops) < LONGEST_STOP_SECONDS
    assert listener.longest_silence < LONGEST_SILENCE_SECONDS
    tell(
        f"{len(stops)} restarts, {churn.counts['add']} ADDs, none failed, slowest {churn.slowest_add_seconds:.2f} s; "
        f"longest stop {max(stops):.2f} s; {listener.answers} pings, longest silence {listener.longest_silence:.3f} s"
    )


def test_sigterm_does_not_wait_for_ec2(lab: Lab, peer: Netns, new_agent: NewAgent) -> None:
    """Growth and a comparison with EC2 are under way, and EC2 takes half a minute to answer."""
    stage = Stage.set_up(lab, new_agent({"WARM_IP_TARGET": "3", "IP_COOLDOWN_PERIOD": "1"}), peer)
    stage.run()
    stage.add()
    stage.settle()
    lab.faults.latency("*", 30.0)
    sandbox = Sandbox.create("web-1")
    adding = [stage.begin_add(sandbox)]
    adding += [stage.begin_add(Sandbox.create(f"more-{number}")) for number in range(4)]
    time.sleep(1.5)  # a comparison has begun too
    assert stage.agent.journal().ec2_steps
    assert stage.agent.terminate() < LONGEST_STOP_SECONDS
    lab.faults.clear()
    stage.run()
    for each in adding:
        each.result()
    assert not stage.agent.bugs_in_log()


def test_an_add_that_waits_for_an_address_is_served_by_the_successor(
    lab: Lab, peer: Netns, new_agent: NewAgent
) -> None:
    stage = Stage.set_up(lab, new_agent({"WARM_IP_TARGET": "1", "IP_COOLDOWN_PERIOD": "20"}), peer)
    stage.run()
    first = stage.add()
    stage.settle()
    lab.faults.error("*PrivateIpAddresses", "InternalError")
    lab.faults.error("CreateNetworkInterface", "InternalError")
    served, waiting = Sandbox.create("web-1"), Sandbox.create("web-2")
    stage.add(served)
    pending = stage.begin_add(waiting)
    _wait_waiting(stage, 1)
    assert stage.agent.terminate() < LONGEST_STOP_SECONDS
    assert not pending.done()
    lab.faults.clear()
    stage.run()
    stage.finish_add(waiting, pending)
    assert set(stage.book.living()) == {first, served, waiting}
    stage.settle()


def _wait_waiting(stage: Stage, count: int) -> None:
    deadline = time.monotonic() + 5
    while stage.agent.status()["pool"]["waiting"] < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
