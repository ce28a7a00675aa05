"""A hundred and more kills at random moments while pods come and go: nothing is given twice, nothing leaks."""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from fault_agent import QUICK_RECONCILE, NodeAgent, Tell, add_bare_node
from fault_churn import Churn
from fault_runtime import NodeRuntime, Pinger
from fault_truth import Truth

from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

KILLS = 100
ADDS = 2000
HUNT_SECONDS = 1.0
LATENCY_SECONDS = {"CreateNetworkInterface": 0.1, "AttachNetworkInterface": 0.1, "*PrivateIpAddresses": 0.1}


@pytest.fixture
def aws_like_lab() -> Iterator[Lab]:
    """A VPC that answers after a while, and whose descriptions and links come late: growth takes its time."""
    with Lab(
        name=f"churn-{os.getpid()}",
        nodes=0,
        agents=False,
        instance_type="m5.xlarge",
        latency_seconds=LATENCY_SECONDS,
        describe_lag_seconds=0.5,
        metadata_lag_seconds=0.5,
        attach_seconds=0.1,
        link_delay_seconds=0.1,
    ) as lab:
        yield lab


@dataclass
class Killer:
    """Kills and restarts one agent. What was in flight is read from the journal of the dead."""

    agent: NodeAgent
    churn: Churn
    rng: random.Random
    kills: int = 0
    in_flight: "Counter[str]" = field(default_factory=Counter)
    with_work: int = 0
    with_record: int = 0

    def strike(self) -> None:
        """Wait for a moment of the chosen kind, kill, note, start again."""
        kind = self.rng.choices(("start-up", "stop", "any", "request", "growth"), (1, 1, 2, 4, 4))[0]
        self._wait_for(kind)
        busy = self.churn.busy()
        if kind == "stop":  # it may end by itself before the kill
            self.agent.terminate(patience_seconds=self.rng.uniform(0.0, 0.3))
        self.agent.kill()
        if self.agent.was_killed:
            self.kills += 1
            self._note(busy)
        self.agent.start()

    def _wait_for(self, kind: str) -> None:
        if kind == "start-up":
            time.sleep(self.rng.uniform(0.0, 0.4))
            return
        self.agent.wait_serving()
        self._let_work()
        if kind == "any":
            time.sleep(self.rng.uniform(0.0, 0.2))
            return
        deadline = time.monotonic() + HUNT_SECONDS
        wanted = self._is_growing if kind == "growth" else self.churn.busy
        while not wanted() and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(self.rng.uniform(0.0, 0.005))

    def _let_work(self) -> None:
        """Spread the kills over the work that there is to do."""
        due = ADDS * self.kills / KILLS
        while self.churn.is_running and self.churn.counts["add"] < due:
            time.sleep(0.002)

    def _is_growing(self) -> bool:
        return bool(self.agent.journal().ec2_steps)

    def _note(self, busy: int) -> None:
        journal = self.agent.journal()
        begun = sum(1 for add in journal.adds.values() if add.committed is None)
        self.in_flight["ADD between intent and commit"] += begun
        self.in_flight["plugin call"] += busy
        for step in journal.ec2_steps.values():
            self.in_flight[f"EC2 {step.operation}"] += 1
        self.with_work += bool(busy or journal.ec2_steps)
        self.with_record += bool(begun or journal.ec2_steps)


@pytest.mark.slow(seconds=85)
@pytest.mark.timeout(300)
def test_a_hundred_kills_under_churn_give_nothing_twice_and_leak_nothing(
    aws_like_lab: Lab, seed: int, tell: Tell
) -> None:
    lab = aws_like_lab
    peer = Netns.open(add_bare_node(lab).netns_path)
    agent = NodeAgent(lab, add_bare_node(lab), {**QUICK_RECONCILE, "WARM_IP_TARGET": "2", "IP_COOLDOWN_PERIOD": "1"})
    started = time.monotonic()
    agent.start().wait_serving()
    churn = Churn(NodeRuntime(agent.node), peer, seed, wanted=ADDS)
    killer = Killer(agent, churn, random.Random(seed))  # noqa: S311 - no secrets
    churn.start()
    try:
        while churn.is_running:
            killer.strike()
    finally:
        churn.stop()
    churn.raise_problem()
    churning = time.monotonic() - started
    while killer.kills < KILLS:
        killer.strike()
    agent.wait_serving()

    living = churn.book.living()
    truth = Truth(lab, agent)
    settled = truth.settle(living, timeout_seconds=20)
    _assert_reachable(peer, churn)
    assert not agent.bugs_in_log()
    agent.kill()
    peer.close()
    tell(
        f"{churn.counts['add']} ADDs and {churn.counts['del']} DELs in {churning:.1f} s; {killer.kills} kills, "
        f"{killer.with_work} of them with work in flight, {killer.with_record} with work in the journal: "
        f"{dict(killer.in_flight)}; failed ADDs {dict(churn.failures)}; slowest ADD {churn.slowest_add_seconds:.2f} s; "
        f"{len(living)} pods live, settled in {settled:.1f} s"
    )
    assert killer.kills >= KILLS
    assert killer.with_work >= killer.kills / 2


def _assert_reachable(peer: Netns, churn: Churn) -> None:
    pinger = Pinger(peer)
    unreachable = [pod for pod in churn.book.living() if pod.address is None or not pinger.reaches(pod.address)]
    pinger.close()
    assert not unreachable, f"cannot be reached: {unreachable}"
