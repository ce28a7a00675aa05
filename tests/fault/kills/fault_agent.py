"""An agent on a bare node of the lab, started, killed and asked by the test itself.

The lab starts agents with a growing delay, as a kubelet does; a hundred kills need one that is back at once, and a kill
at a step needs an environment of its own. Namespace and capabilities come from the lab's own launcher.
"""

import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vpc_cni.agent.journal_file import read_boot_id
from vpc_cni.cli._introspection import AgentAddress, fetch_json
from vpc_cni.errors import HostError
from vpc_cni.ipam.journal import read_journal
from vpc_cni.ipam.journal_state import JournalState, fold
from vpc_cni.lab.client import Lab
from vpc_cni.lab.info import NodeInfo
from vpc_cni.lab.nodes.agent import AGENT_COMMAND, launcher_command
from vpc_cni.lab.nodes.environment import AgentSurroundings, agent_environment
from vpc_cni.lab.paths import NodePaths

POLL_SECONDS = 0.005
SERVING_SECONDS = 15.0
# The agent compares with EC2 every second, so that what a kill left is mended within a test.
QUICK_RECONCILE = {"VPC_CNI_RECONCILE_SECONDS": "1", "AWS_VPC_K8S_CNI_LOGLEVEL": "INFO"}
CRITICAL = re.compile(r'"level": "(critical|error)".*(a bug|Traceback|never retrieved|Exception in callback)')


def wait_until(condition: Callable[[], object], timeout_seconds: float, what: str) -> None:
    """Poll until a condition holds.

    Raises:
        TimeoutError: it did not within the time; ``what`` says what was waited for.
    """
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} not within {timeout_seconds:g} s")
        time.sleep(POLL_SECONDS)


@dataclass
class NodeAgent:
    """One node's agent. The thread that starts it must outlive it: the process ends with its parent's thread.

    Args:
        settings: environment variables over the lab's own.
    """

    lab: Lab
    node: NodeInfo
    settings: Mapping[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0

    @property
    def run_dir(self) -> Path:
        return Path(self.node.run_dir)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL has ended it, by whosever hand."""
        return self.process is not None and self.process.poll() == -signal.SIGKILL

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self, crash_at: str = "", **settings: str) -> "NodeAgent":
        """Start the process; ``crash_at`` is STEP or STEP:N."""
        assert not self.is_running
        log = Path(self.node.agent_log_path)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                launcher_command(Path(self.node.netns_path), AGENT_COMMAND),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=self._environment({**self.settings, **settings, "VPC_CNI_CRASH_AT": crash_at}),
            )
        self.starts += 1
        return self

    def _environment(self, overrides: Mapping[str, str]) -> dict[str, str]:
        endpoints = self.lab.status()["endpoints"]
        around = AgentSurroundings(
            node_name=self.node.name,
            cluster_name=self.lab.options.name,
            region="us-west-2",
            api_endpoint=endpoints["node_api"],
            overrides=overrides,
        )
        return agent_environment(NodePaths(self.run_dir.parent), around)

    def wait_serving(self) -> "NodeAgent":
        """Wait until this process serves pods.

        Raises:
            HostError: it ended instead.
        """
        wait_until(lambda: self._is_ready() or not self.is_running, SERVING_SECONDS, f"agent of {self.node.name} ready")
        if not self.is_running:
            raise HostError(f"the agent of {self.node.name} ended: {self.log_tail()}")
        return self

    def _is_ready(self) -> bool:
        try:
            status = self.status()
        except HostError:
            return False
        return bool(status["node"]["ready"])

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def wait_killed(self, timeout_seconds: float) -> None:
        """Wait until the agent has killed itself at its step.

        Raises:
            TimeoutError: it still runs.
            AssertionError: it ended in another way.
        """
        wait_until(lambda: not self.is_running, timeout_seconds, f"kill of the agent of {self.node.name}")
        assert self.was_killed, self.log_tail()

    def terminate(self, patience_seconds: float = 30.0) -> float:
        """SIGTERM; return the seconds until the end, or ``patience_seconds`` when it has not ended by then."""
        assert self.process is not None
        started = time.monotonic()
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(patience_seconds)
        return time.monotonic() - started

    # -- what it says ---------------------------------------------------------------------------------------------

    def status(self) -> Any:
        """Return the document of ``vpc-cni node status --json``."""
        return fetch_json(AgentAddress(path=str(self.run_dir / "introspect.sock")), "/v1/status")

    def pool_addresses(self) -> dict[str, set[str]]:
        """Return the secondary addresses that the pool has, by ENI."""
        document: Any = fetch_json(AgentAddress(path=str(self.run_dir / "introspect.sock")), "/v1/enis")
        return {
            eni_id: {cidr.partition("/")[0] for cidr in eni["AvailableIPv4Cidrs"]}
            for eni_id, eni in document["ENIs"].items()
        }

    def journal(self) -> JournalState:
        """Return what the journal file adds up to; also after the process has died."""
        read = read_journal((self.run_dir / "journal").read_bytes())
        assert read.boot_id in ("", read_boot_id())
        return fold(read.records)

    def log_lines(self) -> list[str]:
        return Path(self.node.agent_log_path).read_text(errors="replace").splitlines()

    def log_tail(self) -> str:
        return " | ".join(self.log_lines()[-3:])

    def bugs_in_log(self) -> list[str]:
        """Return the lines in which the agent says that something went wrong which never should."""
        return [line for line in self.log_lines() if CRITICAL.search(line)]


_adding = threading.Lock()


def add_bare_node(lab: Lab) -> NodeInfo:
    """Add a node; one after the other, whichever thread asks, since the lab numbers them as they come."""
    with _adding:
        return lab.add_node()


Tell = Callable[[str], None]
"""Shows a line of figures in the test report."""

NewAgent = Callable[..., NodeAgent]
"""Makes a node and its agent, not started; settings come over the suite's own."""


def capability_sets(pid: int) -> dict[str, int]:
    """Return the capability sets of a process (``CapEff`` and so on) as bit masks."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {
        name: int(value, 16) for name, _, value in (line.partition(":") for line in lines) if name.startswith("Cap")
    }
