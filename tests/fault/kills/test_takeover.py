"""A node of the reference is taken over, handed back, and handed back after a SIGKILL: no pod notices."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from fault_agent import NewAgent, Tell, wait_until
from fault_reference import ReferenceNode
from fault_runtime import Sandbox
from fault_stage import Stage
from fault_traffic import EchoServer, Pings, Stream
from fault_truth import read_checkpoint

from vpc_cni.agent.steps import Step
from vpc_cni.errors import HostError
from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

PODS = 20
INTERNET = "198.51.100.1"
KILLS = (Step.RESTORE_READ, Step.RESTORE_WRITTEN, Step.RESTORE_CLEANED, Step.CHECKPOINT_NOTED, Step.CHECKPOINT_WRITTEN)


@dataclass
class Scene:
    """A node with pods in the reference's layout, and the places that its pods talk to."""

    stage: Stage
    node: ReferenceNode
    netns: Netns
    peer_address: IPv4Address
    internet: EchoServer
    inside: EchoServer
    pings: list[Pings] = field(default_factory=list)

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run ``vpc-cni node`` on the node."""
        run_dir = self.stage.agent.run_dir
        where = ("--run-dir", str(run_dir), "--backing-store", str(run_dir / "ipam.json"))
        process = self.netns.spawn(
            [sys.executable, "-m", "vpc_cni.cli", "node", *words, *where],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output, _ = process.communicate(timeout=60)
        return subprocess.CompletedProcess(words, process.returncode, output)

    def pods(self) -> set[tuple[str, str]]:
        return {(sandbox.container_id, str(sandbox.address)) for sandbox in self.stage.book.living()}


@pytest.fixture(params=["legacy", "nft"])
def scene(request: pytest.FixtureRequest, lab: Lab, peer: Netns, new_agent: NewAgent) -> Iterator[Scene]:
    stage = Stage.set_up(lab, new_agent({"WARM_IP_TARGET": "3", "IP_COOLDOWN_PERIOD": "1"}), peer)
    stage.run()
    for number in range(PODS):
        stage.add(Sandbox.create(f"web-{number}"))
    stage.agent.terminate()
    routes = json.loads(peer.check_output(["ip", "-j", "route", "get", INTERNET], text=True))
    with (
        Netns.open(stage.agent.node.netns_path) as netns,
        Netns.open(Path(stage.agent.node.netns_path).with_name("internet")) as outside,
    ):
        node = ReferenceNode(stage.agent, netns, request.param)
        node.set_up(stage.book.living())
        servers = EchoServer(outside), EchoServer(peer)
        made = Scene(stage, node, netns, IPv4Address(routes[0]["prefsrc"]), *servers)
        yield made
        for each in made.pings:
            each.kill()
        for server in servers:
            server.close()


def assert_handed_back(scene: Scene, chains: list[str]) -> None:
    assert scene.node.chains() == chains
    assert not scene.node.has_our_table()
    assert read_checkpoint(scene.stage.agent.run_dir) == scene.pods()


def assert_ours(scene: Scene) -> None:
    assert scene.node.chains() == []
    assert scene.node.has_our_table()
    scene.stage.settle()


@pytest.mark.alone
@pytest.mark.slow(seconds=20)
def test_pods_do_not_notice_who_runs_their_node(scene: Scene, tell: Tell) -> None:
    stage, pods, chains = scene.stage, scene.stage.book.living(), scene.node.chains()
    assert len(chains) >= 10
    for place in (INTERNET, str(scene.peer_address)):
        scene.pings.append(Pings(pods, place))
    streams = [Stream(pod, target) for pod in pods for target in (INTERNET, scene.peer_address)]

    for step in KILLS:  # taken over by an agent that is killed at each step of it
        stage.agent.start(crash_at=step)
        stage.await_death()
    stage.run()
    assert_ours(scene)

    asked = scene.command("handback", "--yes")
    assert asked.returncode == 0, asked.stdout
    assert_handed_back(scene, chains)
    wait_until(lambda: not stage.agent.is_running, 10, "end of the agent that handed back")

    stage.agent.start()  # finds the node handed back, and leaves it alone
    wait_until(lambda: _says_handed_back(scene), 10, "an agent that waits")
    assert_handed_back(scene, chains)
    again = scene.command("takeover")
    assert again.returncode == 0, again.stdout
    stage.agent.wait_serving()
    assert_ours(scene)
    stage.add(Sandbox.create("late"))  # the book refuses an address that is given twice

    stage.agent.kill()
    alone = scene.command("handback", "--yes")
    assert alone.returncode == 0, alone.stdout
    assert_handed_back(scene, chains)
    scene.node.write_checkpoint(stage.book.living())  # the reference serves
    stage.run()  # and our agent comes back without being asked
    assert_ours(scene)
    stage.add(Sandbox.create("later"))

    counted = [each.finish() for each in scene.pings]
    for stream in streams:
        stream.finish()
    sent, lost = (sum(column) for column in zip(*counted, strict=True))
    slowest = max(stream.longest_seconds for stream in streams)
    tell(
        f"takeover ({len(pods)} pods, {len(KILLS)} kills, handed back twice): {sent} pings, {lost} lost; "
        f"{len(streams)} streams, {sum(s.exchanges for s in streams)} exchanges, slowest {slowest * 1000:.0f} ms, "
        f"{sum(s.retransmitted for s in streams)} segments sent again"
    )
    assert lost == 0, [gap for each in scene.pings for gap in each.gaps]
    assert [stream.problem for stream in streams if stream.problem] == []
    assert sent > PODS * 100
    # Translated outside, and not inside.
    assert not scene.internet.callers & {str(pod.address) for pod in pods}
    assert scene.inside.callers >= {str(pod.address) for pod in pods}


def _says_handed_back(scene: Scene) -> bool:
    try:
        status = scene.stage.agent.status()
    except HostError:  # no agent yet
        return False
    return any("handed back" in reason for reason in status["node"]["reasons"])
