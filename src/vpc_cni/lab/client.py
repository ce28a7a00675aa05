"""Start a lab and speak with it: the public face of `vpc_cni.lab`.

The lab itself is a separate process, so whatever happens to the caller (an exception, SIGKILL), nothing of the lab
lives inside it; and whatever happens to the lab's process, nothing of the lab is left.
"""

import asyncio
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv4Address
from types import TracebackType
from typing import IO, Any, TypeVar

from vpc_cni.errors import CallerError, HostError
from vpc_cni.lab import statefile
from vpc_cni.lab.control.client import call
from vpc_cni.lab.control.wire import Request, decode_error, parse_line
from vpc_cni.lab.options import LabOptions, encode_options
from vpc_cni.lab.paths import LabPaths, lab_paths

T = TypeVar("T")
Progress = Callable[[str], None]

DOWN_SECONDS = 20.0


def ignore_progress(_text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class EniInfo:
    """An attached ENI. ``spoofed_packets`` counts what the router dropped because the source was not its own."""

    eni_id: str
    device_number: int
    mac: str
    primary_address: str
    addresses: tuple[str, ...]
    prefixes: tuple[str, ...]
    spoofed_packets: int


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A node. All paths can be used by other processes of the same user while the lab is up."""

    name: str
    instance_id: str
    instance_type: str
    subnet_id: str
    address: str
    public_address: str | None
    netns_path: str
    plugin_dir: str
    conflist_path: str
    socket_path: str
    run_dir: str
    cache_dir: str
    agent_log_path: str
    agent_pid: int | None
    agent_restarts: int
    agent_supervised: bool
    pods: int
    enis: tuple[EniInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class PodInfo:
    """A pod. ``device_number`` is that of the ENI which holds its address; None when EC2 knows no such ENI."""

    name: str
    node: str
    address: str
    eni_id: str | None
    device_number: int | None
    netns_path: str
    container_id: str
    ifname: str
    add_ms: float

    @property
    def ip(self) -> IPv4Address:
        return IPv4Address(self.address)


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """The verdict of `Lab.check`; ``rows`` are as in `lab check --json`."""

    passed: bool
    seconds: float
    problems: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]

    def failures(self) -> list[str]:
        """Return one line for each failed row and each problem."""
        failed = [row for row in self.rows if not row["passed"]]
        lines = [f"{row['title']} ({row['note']}): {row['source']} to {row['target']}: {_why(row)}" for row in failed]
        return [*self.problems, *lines]


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
        self.faults = LabFaults(self)

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
        identity = statefile.read_state(self._paths)
        if identity is None:
            clear_crashed(self._paths)
            return
        try:
            self.call("down")
        except (CallerError, HostError):  # still starting, or already ending
            os.kill(identity.pid, signal.SIGTERM)
        wait_ended(identity, DOWN_SECONDS)

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
        return tuple(map(_node_info, self.status()["nodes"]))

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
        return tuple(_read(PodInfo, pod) for pod in self.call("pod_list"))

    def environment(self) -> dict[str, str]:
        """Return the variables with which boto3 and the ``aws`` command speak to this lab from the machine."""
        environment: dict[str, str] = self.call("env")
        return environment

    # --- changing -------------------------------------------------------------------------------------------------

    def add_node(self) -> NodeInfo:
        """Start one more instance and wait until its agent serves."""
        return _node_info(self.call("node_add"))

    def add_pod(self, node: str | None = None, *, name: str | None = None) -> PodInfo:
        """Add a pod and wait until the plugin has wired it.

        Raises:
            HostError: the plugin failed; the message has its error.
        """
        return _read(PodInfo, self.call("pod_add", node=node, name=name, count=1)[0])

    def add_pods(self, count: int, node: str | None = None) -> tuple[PodInfo, ...]:
        """Add pods, several at a time, on one node or on all nodes in turn."""
        return tuple(_read(PodInfo, pod) for pod in self.call("pod_add", node=node, count=count))

    def delete_pod(self, *names: str) -> None:
        self.call("pod_delete", names=list(names))

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

    def call(self, op: str, **args: object) -> Any:
        """Run one control operation and return its plain JSON result."""
        return call(self._paths.control_socket, Request(op, args), self._progress)

    def _identity(self) -> statefile.DaemonIdentity:
        identity = statefile.read_state(self._paths)
        if identity is None:
            raise CallerError(f'lab "{self.options.name}" is not up', hint="start it with `vpc-cni lab up`")
        return identity


class LabFaults:
    """Breaks things on purpose. Each method returns the number by which `clear` mends it."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def throttle(self, *, read: float | None = None, write: float | None = None) -> int:
        """Limit EC2 calls to so many a second."""
        return self._add("throttle", read=read, write=write)

    def error(self, operation: str, code: str, *, times: int | None = None, message: str | None = None) -> int:
        """Let an EC2 operation (or pattern) fail with a code, some times or until cleared."""
        return self._add("error", operation=operation, code=code, times=times, message=message)

    def lost_answer(self, operation: str, *, times: int = 1) -> int:
        """Let calls take effect and then close the connection without an answer."""
        return self._add("lost-answer", operation=operation, times=times)

    def deny(self, action: str, *, role: str = "*") -> int:
        """Take a permission away, for example ``ec2:CreateNetworkInterface``."""
        return self._add("deny", action=action, role=role)

    def latency(self, operation: str, seconds: float) -> int:
        return self._add("latency", operation=operation, seconds=seconds)

    def metadata_lag(self, seconds: float) -> int:
        return self._add("metadata-lag", seconds=seconds)

    def subnet_full(self, subnet: str) -> int:
        """Let a subnet (by id, or by the name of a node in it) have no free address."""
        return self._add("subnet-full", subnet=subnet)

    def link_down(self, node: str, *, device: int = 0) -> int:
        """Take the carrier from an ENI's link."""
        return self._add("link-down", node=node, device=device)

    def loss(self, node: str, percent: int, *, device: int = 0) -> int:
        """Lose a part of an ENI's packets, in both directions."""
        return self._add("loss", node=node, device=device, percent=percent)

    def active(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self._lab.call("fault_list")
        return listed

    def clear(self, number: int | None = None) -> int:
        """Mend one fault, or all; returns how many."""
        return int(self._lab.call("fault_clear", number=number))

    def _add(self, kind: str, **args: object) -> int:
        given = {key: value for key, value in args.items() if value is not None}
        return int(self._lab.call("fault_add", kind=kind, **given)["number"])


def start_daemon(options: LabOptions, paths: LabPaths, progress: Progress) -> None:
    """Start the lab's process and follow its start to the end.

    Raises:
        VpcCniError: what the start failed with.
    """
    # The daemon may become root of a user namespace: it must find the same folder as we do.
    environment = {**os.environ, "VPC_CNI_LAB_DIR": str(paths.base)}
    with tempfile.TemporaryFile() as early_words:
        process = subprocess.Popen(
            [sys.executable, "-m", "vpc_cni.lab.daemon"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=early_words,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101 - for the type checker
        assert process.stdout is not None  # noqa: S101
        with process.stdin as stdin:
            stdin.write(encode_options(options).encode())
        with process.stdout as stdout:
            if _follow_start(stdout, progress):
                return
        process.wait()
        early_words.seek(0)
        words = early_words.read().decode(errors="replace").strip().splitlines()
    reason = words[-1] if words else f"status {process.returncode}"
    raise HostError(f"the lab's process ended during its start: {reason}", hint=f"see {paths.log_file}")


def _follow_start(stdout: IO[bytes], progress: Progress) -> bool:
    """Read the lines of a starting daemon; True when it is up, False when it ended without a word."""
    for line in stdout:
        document = parse_line(line)
        if "progress" in document:
            progress(str(document["progress"]))
        elif isinstance(document.get("error"), dict):
            raise decode_error(document["error"])  # type: ignore[arg-type]
        else:
            return True
    return False


def wait_ended(identity: statefile.DaemonIdentity, timeout_seconds: float) -> None:
    """Wait until a process is gone; kill it when that takes too long.

    Killing is safe: the kernel takes the lab apart with the process.
    """
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    try:
        if identity.is_alive() and not select.select([descriptor], [], [], timeout_seconds)[0]:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], [], [], timeout_seconds)
    finally:
        os.close(descriptor)


def clear_crashed(paths: LabPaths) -> bool:
    """Remove the run folder of a lab whose process is gone; True when there was one."""
    if not paths.root.exists():
        return False
    lock = statefile.acquire_lock(paths)
    cleared = statefile.clear_leftovers(paths)
    statefile.release_lock(paths, lock)
    return cleared


def _node_info(document: Mapping[str, Any]) -> NodeInfo:
    enis = tuple(_read(EniInfo, eni) for eni in document["enis"])
    return _read(NodeInfo, {**document, "enis": enis})


def _read(kind: type[T], document: Mapping[str, Any]) -> T:
    """Build a record from an object; fields it does not know are skipped, lists become tuples."""
    names: Iterable[str] = (field.name for field in fields(kind))  # type: ignore[arg-type]
    values = {name: document[name] for name in names if name in document}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _why(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{probe['protocol']} {probe['detail']}" for probe in row["probes"] if not probe["passed"])
