"""One node on stage: its agent, its runtime, the sandboxes that live there, and the views that must agree."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from fault_agent import NodeAgent
from fault_runtime import Book, NodeRuntime, Pinger, Sandbox
from fault_truth import Truth

from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

DEATH_SECONDS = 20.0


@dataclass
class Stage:
    """What a scenario acts on. Sandboxes of finished ADDs are in the book until their DEL."""

    lab: Lab
    agent: NodeAgent
    runtime: NodeRuntime
    truth: Truth
    peer: Netns
    book: Book = field(default_factory=Book)

    @classmethod
    def set_up(cls, lab: Lab, agent: NodeAgent, peer: Netns) -> "Stage":
        return cls(lab, agent, NodeRuntime(agent.node), Truth(lab, agent), peer)

    # -- pods -----------------------------------------------------------------------------------------------------

    def begin_add(self, sandbox: Sandbox) -> "Future[IPv4Address]":
        return self.runtime.begin(self.runtime.add, sandbox)

    def add(self, sandbox: Sandbox | None = None) -> Sandbox:
        """Start a pod and wait for its network."""
        chosen = sandbox or Sandbox.create("web-0")
        return self.finish_add(chosen, self.begin_add(chosen))

    def add_together(self, count: int) -> None:
        """Start several pods at once."""
        sandboxes = [Sandbox.create(f"burst-{number}") for number in range(count)]
        pending = [(sandbox, self.begin_add(sandbox)) for sandbox in sandboxes]
        for sandbox, adding in pending:
            self.finish_add(sandbox, adding)

    def finish_add(self, sandbox: Sandbox, pending: "Future[IPv4Address]") -> Sandbox:
        """Wait for an ADD's result and note it."""
        self.book.enter(sandbox, pending.result())
        return sandbox

    def begin_delete(self, sandbox: Sandbox) -> "Future[None]":
        self.book.strike(sandbox)
        return self.runtime.begin(self.runtime.delete, sandbox)

    def delete(self, sandbox: Sandbox) -> None:
        """End a pod as a runtime does: DEL, which must not fail, then its namespace."""
        self.begin_delete(sandbox).result()
        sandbox.netns.close()

    # -- the agent --------------------------------------------------------------------------------------------------

    def run(self, **settings: str) -> None:
        """Start the agent and wait until it serves."""
        self.agent.start(**settings).wait_serving()

    def rerun(self, **settings: str) -> None:
        """Kill the agent and start it with other settings."""
        self.agent.kill()
        self.run(**settings)

    def await_death(self, timeout_seconds: float = DEATH_SECONDS) -> None:
        """Wait until the agent has killed itself at its step."""
        self.agent.wait_killed(timeout_seconds)

    # -- verdict ----------------------------------------------------------------------------------------------------

    def settle(self, timeout_seconds: float = 12.0) -> float:
        """Wait until all views of the node agree and every pod answers; return the seconds that took.

        Raises:
            AssertionError: they do not agree, or a pod cannot be reached.
        """
        living = self.book.living()
        seconds = self.truth.settle(living, timeout_seconds=timeout_seconds)
        pinger = Pinger(self.peer)
        silent = [each.pod for each in living if each.address is None or not pinger.reaches(each.address)]
        pinger.close()
        assert not silent, f"cannot be reached: {silent}"
        assert not self.agent.bugs_in_log(), self.agent.bugs_in_log()
        return seconds
