"""Start a lab and speak with it: the public face of `vpc_cni.lab`.

The lab itself is a separate process, so whatever happens to the caller (an exception, SIGKILL), nothing of the lab
lives inside it; and whatever happens to the lab's process, nothing of the lab is left.
"""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields
from subprocess import CompletedProcess
from types import TracebackType
from typing import Any

from vpc_cni.errors import CallerError
from vpc_cni.lab import statefile
from vpc_cni.lab.control.client import call
from vpc_cni.lab.control.wire import Request
from vpc_cni.lab.fault_client import LabFaults
from vpc_cni.lab.info import CallInfo, CheckSummary, NodeInfo, PodInfo, read_node, read_record
from vpc_cni.lab.kubernetes.client import LabKubernetes
from vpc_cni.lab.options import LabOptions
from vpc_cni.lab.paths import lab_paths
from vpc_cni.lab.process import Progress, clear_crashed, end_daemon, start_daemon


def ignore_progress(_text: str) -> None:
    """Say nothing."""


class Lab:
    """A lab, as a context manager (also ``async with``), or by `up` and `down`.

    Args:
        options: the shape; keyword arguments replace its fields, for example ``Lab(nodes=1, name="test")``.
        on_progress: is told what is happening, one line at a time.
    """

    def __init__(
        self, options: LabOptions | None = None, *, on_progress: Progress = ignore_progress, **changes: Any
    ) -> None:
        known = {field.name: getattr(options, field.name) for field in fields(LabOptions)} if options else {}
        self.options = LabOptions(**{**known, **changes})
        self._paths = lab_paths(self.options.name)
        self._progress = on_progress
        self.faults = LabFaults(self.call)
        self.kubernetes = LabKubernetes(self.call)

    @classmethod
    def attach(cls, name: str = "default", *, on_progress: Progress = ignore_progress) -> "Lab":
        """Speak with a lab that is already up.

        Raises:
            CallerError: no lab of this name is up.
        """
        lab = cls(name=name, on_progress=on_progress)
        lab._identity()
        return lab

    # --- life -----------------------------------------------------------------------------------------------------

    def up(self) -> "Lab":
        """Start the lab; returns when all its agents serve.

        Raises:
            CallerError: a lab of this name is up already, or an option is wrong.
            HostError: this machine cannot do it; the message says why.
        """
        start_daemon(self.options, self._paths, self._progress)
        return self

    def down(self) -> None:
        """End the lab and wait until its process is gone. A lab that is not up is no error."""
        end_daemon(self._paths)
        clear_crashed(self._paths)

    def __enter__(self) -> "Lab":
        return self.up()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.down()

    async def __aenter__(self) -> "Lab":
        return await asyncio.to_thread(self.up)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.down)

    @property
    def pid(self) -> int:
        """The lab's process."""
        return self._identity().pid

    # --- looking --------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Return the document of `lab status --json`."""
        status: dict[str, Any] = self.call("status")
        return status

    @property
    def nodes(self) -> tuple[NodeInfo, ...]:
        return tuple(map(read_node, self.status()["nodes"]))

    def node(self, name: str) -> NodeInfo:
        """Return one node.

        Raises:
            CallerError: there is none of this name.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise CallerError(f'there is no node "{name}"')

    @property
    def pods(self) -> tuple[PodInfo, ...]:
        return tuple(read_record(PodInfo, pod) for pod in self.call("pod_list"))

    @property
    def calls(self) -> tuple[CallInfo, ...]:
        """The latest calls to EC2 and STS, in the order of their answers."""
        return tuple(read_record(CallInfo, record) for record in self.call("calls"))

    def environment(self) -> dict[str, str]:
        """Return the variables with which boto3 and the ``aws`` command speak to this lab from the machine."""
        environment: dict[str, str] = self.call("env")
        return environment

    # --- changing -------------------------------------------------------------------------------------------------

    def add_node(self, name: str | None = None) -> NodeInfo:
        """Start one more instance and wait until its agent serves.

        Args:
            name: of a node whose instance was terminated, or any other that is free.

        Raises:
            CallerError: there is a node of this name.
        """
        return read_node(self.call("node_add", name=name))

    def add_pod(self, node: str | None = None, *, name: str | None = None) -> PodInfo:
        """Add a pod and wait until the plugin has wired it.

        Raises:
            HostError: the plugin failed; the message has its error.
        """
        return read_record(PodInfo, self.call("pod_add", node=node, name=name, count=1)[0])

    def add_pods(self, count: int, node: str | None = None) -> tuple[PodInfo, ...]:
        """Add pods, several at a time, on one node or on all nodes in turn."""
        return tuple(read_record(PodInfo, pod) for pod in self.call("pod_add", node=node, count=count))

    def delete_pod(self, *names: str) -> None:
        self.call("pod_delete", names=list(names))

    def check_pod(self, name: str) -> bool:
        """Run the plugins' CHECK of a pod; False when its network has CHECK switched off.

        Raises:
            HostError: a plugin found something wrong; the message says what.
        """
        return bool(self.call("pod_check", name=name))

    def ask_status(self, node: str) -> bool:
        """Run the plugins' STATUS on a node; False when the network's version has none (before 1.1.0).

        Raises:
            HostError: a plugin cannot serve now.
        """
        return bool(self.call("runtime_status", node=node))

    def collect_garbage(self, node: str) -> bool:
        """Run the plugins' GC on a node with its pods as the valid ones; False when the network leaves GC out."""
        return bool(self.call("runtime_gc", node=node))

    def check(self) -> CheckSummary:
        """Send packets everywhere; see `lab check`."""
        report = self.call("check")
        return CheckSummary(report["passed"], report["seconds"], tuple(report["problems"]), tuple(report["rows"]))

    def kill_agent(self, node: str) -> None:
        """Send SIGKILL to a node's agent and wait for its end; a supervised one is started again."""
        self.call("agent_kill", node=node)

    def restart_agent(self, node: str) -> int:
        """Stop a node's agent gracefully, start it, wait until it serves; returns its process number."""
        return int(self.call("agent_restart", node=node))

    def supervise_agent(self, node: str, on: bool) -> None:
        """Say whether a dead agent shall be started again."""
        self.call("agent_supervise", node=node, on=on)

    def add_role(self, name: str, subject: str) -> str:
        """Make a role, or replace its trust; return its ARN.

        Args:
            subject: whose tokens may have it, with ``*`` and ``?``, such as
                ``system:serviceaccount:kube-system:aws-node``; of the lab's cluster where it has one.

        Raises:
            CallerError: no role can have this name.
        """
        return str(self.call("role_add", name=name, subject=subject))

    # --- running things inside --------------------------------------------------------------------------------------

    def run(self, where: str, command: Sequence[str], timeout_seconds: float = 30.0) -> CompletedProcess[str]:
        """Run a program in the network of a pod or node and return its output as text; any exit status is fine.

        Raises:
            CallerError: there is no such pod or node.
        """
        return subprocess.run(
            [sys.executable, "-m", "vpc_cni.lab.enter", self.netns_path(where), str(self.pid), *command],
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )

    def netns_path(self, where: str) -> str:
        """Return the path of a pod's or node's network namespace, by name.

        Raises:
            CallerError: there is no such pod or node.
        """
        status = self.status()
        for place in (*status["nodes"], *status["pods"]):
            if place["name"] == where:
                return str(place["netns_path"])
        raise CallerError(f'there is no pod or node "{where}"')

    def call(self, op: str, **args: object) -> Any:
        """Run one control operation and return its plain JSON result."""
        return call(self._paths.control_socket, Request(op, args), self._progress)

    def _identity(self) -> statefile.DaemonIdentity:
        identity = statefile.read_state(self._paths)
        if identity is None:
            raise CallerError(f'lab "{self.options.name}" is not up', hint="start it with `vpc-cni lab up`")
        return identity
