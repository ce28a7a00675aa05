"""A node of a running lab seen from outside: the plugin is run there, the agent is asked, the kernel is read."""

import http.client
import json
import os
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from vpc_cni.cli._introspection import AgentAddress, fetch_json
from vpc_cni.lab.client import Lab
from vpc_cni.lab.info import NodeInfo
from vpc_cni.lab.runtime.invoke import PROGRAM_PATH
from vpc_cni.netlink.netns import Netns

POLL_SECONDS = 0.02
METRICS_PORT = 61678
PLUGIN_SECONDS = 70.0


def wait_until(condition: Callable[[], object], timeout_seconds: float, what: str) -> float:
    """Poll until a condition holds; return the seconds that it took."""
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        assert waited < timeout_seconds, f"{what}: not within {timeout_seconds:g} s"
        time.sleep(POLL_SECONDS)
    return time.monotonic() - started


def report(figures: str) -> None:
    """Show what was measured; seen with ``pytest -s``."""
    sys.stdout.write(f"\n{figures}\n")


def http_get(host: str, port: int, path: str) -> tuple[int, str]:
    """GET a page from the namespace of the calling thread; return status and text."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@dataclass(frozen=True)
class Sandbox:
    """What a runtime has of a pod before its ADD: a namespace and an id. Close it by ``netns``."""

    name: str
    netns: Netns = field(default_factory=Netns.create, repr=False)
    container_id: str = field(default_factory=lambda: secrets.token_hex(16))
    ifname: str = "eth0"

    def environment(self, command: str) -> dict[str, str]:
        return {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.container_id,
            "CNI_IFNAME": self.ifname,
            "CNI_NETNS": f"/proc/{os.getpid()}/fd/{self.netns.fd}",
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=live;K8S_POD_NAME={self.name}",
        }


@dataclass(frozen=True)
class Outcome:
    """What one run of the plugin left: ``answer`` is the object it printed, None when it printed nothing."""

    exit_code: int
    answer: Any
    seconds: float

    @property
    def address(self) -> str:
        """The address of the container in the result of an ADD."""
        assert self.exit_code == 0, self.answer
        return str(self.answer["ips"][0]["address"]).partition("/")[0]


@dataclass
class RunningPlugin:
    """A plugin that may still wait for its answer."""

    process: "subprocess.Popen[bytes]"
    sandbox: Sandbox | None
    started: float

    @property
    def is_done(self) -> bool:
        return self.process.poll() is not None

    def outcome(self, timeout_seconds: float = PLUGIN_SECONDS) -> Outcome:
        """Wait for the end."""
        stdout, _ = self.process.communicate(timeout=timeout_seconds)
        answer = json.loads(stdout) if stdout.strip() else None
        return Outcome(self.process.returncode, answer, time.monotonic() - self.started)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


class LiveNode:
    """One node; a context manager that holds its namespace."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.name = name
        self.info: NodeInfo = lab.node(name)
        self.netns = Netns.open(self.info.netns_path)
        self._sandboxes: list[Sandbox] = []

    def __enter__(self) -> "LiveNode":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for sandbox in self._sandboxes:
            sandbox.netns.close()
        self.netns.close()

    # -- the runtime's part -------------------------------------------------------------------------------------------

    def sandbox(self, name: str = "pod") -> Sandbox:
        """Make a sandbox that lives as long as this object."""
        self._sandboxes.append(Sandbox(name))
        return self._sandboxes[-1]

    def config(self, version: str | None = None, **members: object) -> dict[str, Any]:
        """Return what the plugin reads on stdin, from the conflist as the agent wrote it."""
        conflist = json.loads(Path(self.info.conflist_path).read_text())
        [plugin] = [entry for entry in conflist["plugins"] if entry["type"] == "aws-cni"]
        common = {"name": conflist["name"], "cniVersion": version or conflist["cniVersion"]}
        return {key: value for key, value in plugin.items() if key != "capabilities"} | common | members

    def start(self, command: str, sandbox: Sandbox | None, config: Mapping[str, object] | None = None) -> RunningPlugin:
        """Start the plugin as a runtime does and do not wait for it."""
        environment = sandbox.environment(command) if sandbox is not None else {"CNI_COMMAND": command}
        started = time.monotonic()
        process = self.netns.spawn(
            [Path(self.info.plugin_dir) / "aws-cni"],
            env={"PATH": PROGRAM_PATH, "CNI_PATH": self.info.plugin_dir, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(config if config is not None else self.config()).encode())
        process.stdin.close()
        process.stdin = None
        return RunningPlugin(process, sandbox, started)

    def call(self, command: str, sandbox: Sandbox | None, config: Mapping[str, object] | None = None) -> Outcome:
        """Run the plugin to its end."""
        return self.start(command, sandbox, config).outcome()

    # -- what the agent says ------------------------------------------------------------------------------------------

    def status(self) -> Any:
        """Return the document of ``vpc-cni node status --json``."""
        return fetch_json(AgentAddress(path=f"{self.info.run_dir}/introspect.sock"), "/v1/status")

    def page(self, path: str) -> Any:
        return fetch_json(AgentAddress(path=f"{self.info.run_dir}/introspect.sock"), path)

    def pool(self) -> Any:
        return self.status()["pool"]

    def pod_addresses(self) -> dict[str, str]:
        """Return the addresses of the agent's pods by container id, oldest first."""
        return {pod["container_id"]: pod["address"] for pod in self.status()["pods"]}

    def get(self, path: str) -> tuple[int, str]:
        """GET a page of the metrics port inside the node; return status and text."""
        return self.netns.run(http_get, "127.0.0.1", METRICS_PORT, path)

    def metrics(self) -> "Counter[str]":
        """Return each sample of the metrics page by its name with labels, for example ``up{kind="x"}``."""
        _status, text = self.get("/metrics")
        samples: Counter[str] = Counter()
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                samples[name] = float(value)  # type: ignore[assignment]
        return samples

    def ec2_calls(self) -> "Counter[str]":
        """Return how often the agent has called each EC2 operation, tries that failed included."""
        prefix, suffix = 'awscni_ec2api_req_count{fn="', '"}'
        return Counter(
            {
                name.removeprefix(prefix).removesuffix(suffix): int(value)
                for name, value in self.metrics().items()
                if name.startswith(prefix)
            }
        )

    @property
    def agent_pid(self) -> int:
        pid = self.lab.node(self.name).agent_pid
        assert pid is not None, "the agent does not run"
        return pid

    def agent_descriptors(self) -> int:
        """Return how many descriptors the agent has open."""
        return len(os.listdir(f"/proc/{self.agent_pid}/fd"))

    def log_lines(self) -> list[str]:
        return Path(self.info.agent_log_path).read_text(errors="replace").splitlines()

    def bugs(self) -> list[str]:
        """Return the lines of the agent's log that speak of something that must not happen."""
        signs = ("a bug", "Traceback", "never retrieved", "Exception in callback", "Exception ignored")
        return [line for line in self.log_lines() if any(sign in line for sign in signs)]

    # -- the kernel of the node ---------------------------------------------------------------------------------------

    def run(self, *command: str) -> str:
        """Run a program in the node and return what it printed; it must succeed."""
        return str(self.netns.check_output(command, text=True, stderr=subprocess.STDOUT))
