"""A node in the layout of the reference whose pods talk to the world while the node changes hands."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from fault_agent import NewAgent, wait_until
from fault_reference import ReferenceNode
from fault_runtime import Sandbox
from fault_stage import Stage
from fault_traffic import EchoServer, Pings, Stream
from fault_truth import read_checkpoint

from vpc_cni.errors import HostError
from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

INTERNET = "198.51.100.1"
COMMAND_SECONDS = 60


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
    streams: list[Stream] = field(default_factory=list)

    # -- the command ----------------------------------------------------------------------------------------------

    def begin_command(self, *words: str, **environment: str) -> "subprocess.Popen[str]":
        """Start ``vpc-cni node`` on the node; nobody can answer it."""
        run_dir = self.stage.agent.run_dir
        where = ("--run-dir", str(run_dir), "--backing-store", str(run_dir / "ipam.json"))
        return self.netns.spawn(
            [sys.executable, "-m", "vpc_cni.cli", "node", *words, *where],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment},
        )

    def command(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run ``vpc-cni node`` on the node."""
        return finish_command(self.begin_command(*words, **environment))

    # -- traffic --------------------------------------------------------------------------------------------------

    def begin_traffic(self) -> None:
        """Let every pod ping and talk by TCP, inside the VPC and outside."""
        pods = self.stage.book.living()
        places = (INTERNET, str(self.peer_address))
        self.pings += [Pings(pods, place) for place in places]
        self.streams += [Stream(pod, place) for pod in pods for place in places]

    def finish_traffic(self) -> str:
        """End it; return its figures.

        Raises:
            AssertionError: something was lost, or an address was seen that should not be.
        """
        counted = [each.finish() for each in self.pings]
        for stream in self.streams:
            stream.finish()
        sent, lost = (sum(column) for column in zip(*counted, strict=True))
        assert lost == 0, [gap for each in self.pings for gap in each.gaps]
        assert [stream.problem for stream in self.streams if stream.problem] == []
        assert sent > 0
        pods = {str(pod.address) for pod in self.stage.book.living()}
        assert not self.internet.callers & pods, "translated outside"
        assert self.inside.callers, "and not inside"
        assert self.inside.callers <= pods
        slowest = max(stream.longest_seconds for stream in self.streams)
        return (
            f"{sent} pings, {lost} lost; {len(self.streams)} streams, {sum(s.exchanges for s in self.streams)} "
            f"exchanges, slowest {slowest * 1000:.0f} ms, "
            f"{sum(s.retransmitted for s in self.streams)} segments sent again"
        )

    # -- verdict --------------------------------------------------------------------------------------------------

    def pods(self) -> set[tuple[str, str]]:
        return {(sandbox.container_id, str(sandbox.address)) for sandbox in self.stage.book.living()}

    def assert_handed_back(self, chains: list[str]) -> None:
        assert self.node.chains() == chains
        assert not self.node.has_our_table()
        assert read_checkpoint(self.stage.agent.run_dir) == self.pods()

    def assert_ours(self) -> None:
        assert self.node.chains() == []
        assert self.node.has_our_table()
        self.stage.settle()

    def await_waiting_agent(self) -> None:
        """Wait until the agent says that it leaves the node alone."""
        wait_until(self._says_handed_back, 10, "an agent that waits")

    def _says_handed_back(self) -> bool:
        try:
            status = self.stage.agent.status()
        except HostError:  # no agent yet
            return False
        return any("handed back" in reason for reason in status["node"]["reasons"])


def finish_command(process: "subprocess.Popen[str]") -> "subprocess.CompletedProcess[str]":
    """Wait for a command; return its status and all that it said."""
    output, _ = process.communicate(timeout=COMMAND_SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, output)


@contextmanager
def reference_scene(lab: Lab, peer: Netns, new_agent: NewAgent, kind: str, pods: int) -> Iterator[Scene]:
    """Set a node up as the reference leaves it; ``kind`` is legacy or nft."""
    stage = Stage.set_up(lab, new_agent({"WARM_IP_TARGET": "3", "IP_COOLDOWN_PERIOD": "1"}), peer)
    stage.run()
    for number in range(pods):
        stage.add(Sandbox.create(f"web-{number}"))
    stage.agent.terminate()
    routes = json.loads(peer.check_output(["ip", "-j", "route", "get", INTERNET], text=True))
    with (
        Netns.open(stage.agent.node.netns_path) as netns,
        Netns.open(Path(stage.agent.node.netns_path).with_name("internet")) as outside,
    ):
        node = ReferenceNode(stage.agent, netns, kind)
        node.set_up(stage.book.living())
        servers = EchoServer(outside), EchoServer(peer)
        scene = Scene(stage, node, netns, IPv4Address(routes[0]["prefsrc"]), *servers)
        try:
            yield scene
        finally:
            for each in scene.pings:
                each.kill()
            for server in servers:
                server.close()
