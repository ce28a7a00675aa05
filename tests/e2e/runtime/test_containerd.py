"""A real container runtime: Debian's containerd starts containers in a lab node, wired through the plugin.

``ctr run --cni`` reads the conflist and runs the plugins as kubelet's runtime does. containerd gets its own mount
namespace, where the node's conflist and plugins lie at the places that it expects.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vpc_cni.lab import Lab

DEADLINE_SECONDS = 20.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {DEADLINE_SECONDS} s"
        time.sleep(0.05)


@dataclass
class Containerd:
    """A containerd in a node of the lab."""

    process: subprocess.Popen[bytes]
    socket: Path
    root_fs: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def ctr(self, *arguments: str) -> str:
        done = subprocess.run(self._command(*arguments), capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _command(self, *arguments: str) -> list[str]:
        enter = ["nsenter", f"--target={self.process.pid}", "--mount", "--net"]
        return [*enter, "ctr", f"--address={self.socket}", *arguments]

    def start(self, name: str) -> None:
        """Start a container that sleeps. ``ctr`` stays in front of it: only then it ends the network too."""
        command = self._command(
            "run", "--rm", "--cni", "--rootfs", str(self.root_fs), name, "/bin/busybox", "sleep", "600"
        )
        self.running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))

    def run_in(self, name: str, *command: str) -> str:
        return self.ctr("task", "exec", "--exec-id", f"x{time.monotonic_ns()}", name, "/bin/busybox", *command)

    def tasks(self) -> dict[str, str]:
        """Return the state of each container by name."""
        lines = [line.split() for line in self.ctr("task", "ls").splitlines()[1:]]
        return {words[0]: words[2] for words in lines}

    def running_count(self) -> int:
        """Count the containers that run; fails with its words when a ``ctr`` has given up."""
        for process in self.running:
            assert process.poll() is None, process.communicate()[0]
        return list(self.tasks().values()).count("RUNNING")

    def stop(self, name: str) -> None:
        self.ctr("task", "kill", "--signal", "KILL", name)

    def wait_ended(self) -> None:
        for process in self.running:
            output, _ = process.communicate(timeout=DEADLINE_SECONDS)
            assert "error" not in output.lower(), output


@contextmanager
def containerd_in(lab: Lab, node_name: str, folder: Path) -> Iterator[Containerd]:
    node = lab.node(node_name)
    root_fs = folder / "rootfs"
    for name in ("bin", "proc", "dev", "sys", "tmp", "etc"):
        (root_fs / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox is not None, "install busybox-static"
    shutil.copy(busybox, root_fs / "bin" / "busybox")
    script = f"""
        mount --bind {Path(node.conflist_path).parent} /etc/cni/net.d
        mount --bind {node.plugin_dir} /opt/cni/bin
        exec containerd --config /dev/null --address {folder}/containerd.sock \\
            --root {folder}/root --state {folder}/state
    """
    for mount_point in ("/etc/cni/net.d", "/opt/cni/bin"):
        Path(mount_point).mkdir(parents=True, exist_ok=True)
    enter = ["nsenter", f"--net={node.netns_path}", "unshare", "--mount", "--propagation=private"]
    with (folder / "containerd.log").open("wb") as log:
        process = subprocess.Popen([*enter, "sh", "-ec", script], stdout=log, stderr=log)
    runtime = Containerd(process, folder / "containerd.sock", root_fs)
    try:
        wait_until((folder / "containerd.sock").exists, "containerd's start")
        yield runtime
    finally:
        for running in runtime.running:
            running.kill()
        process.terminate()
        process.wait(DEADLINE_SECONDS)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(name=f"containerd-{os.getpid()}", nodes=2, env={"IP_COOLDOWN_PERIOD": "1"}) as running:
        yield running


def assigned(lab: Lab, node_name: str) -> list[dict[str, str]]:
    """Return the node's pods as its agent shows them."""
    socket = Path(lab.node(node_name).run_dir) / "introspect.sock"
    command = [sys.executable, "-m", "vpc_cni.cli", "node", "status", "--json", "--agent", str(socket)]
    pods: list[dict[str, str]] = json.loads(subprocess.check_output(command))["pods"]
    return pods


def test_containers_reach_pods_of_the_other_node_and_give_their_addresses_back(lab: Lab, tmp_path: Path) -> None:
    # Unique on the machine: runc's cgroups are named after them.
    names = tuple(f"web-{os.getpid()}-{number}" for number in range(3))
    with containerd_in(lab, "node-1", tmp_path) as runtime:
        for name in names:
            runtime.start(name)
        wait_until(lambda: runtime.running_count() == len(names), "the start of the containers")

        remote = lab.add_pod("node-2")
        pods = {pod["container_id"]: pod["address"] for pod in assigned(lab, "node-1")}
        assert sorted(pods) == [f"default-{name}" for name in names]
        for name in names:
            assert f"inet {pods[f'default-{name}']}/32" in runtime.run_in(name, "ip", "address", "show", "eth0")
            assert " 0% packet loss" in runtime.run_in(name, "ping", "-c", "1", "-W", "3", remote.address)
            answer = lab.run(remote.name, ["ping", "-c", "1", "-W", "3", pods[f"default-{name}"]])
            assert answer.returncode == 0, answer.stdout
        other = pods[f"default-{names[1]}"]
        assert " 0% packet loss" in runtime.run_in(names[0], "ping", "-c", "1", "-W", "3", other)

        for name in names:
            runtime.stop(name)
        runtime.wait_ended()
        wait_until(lambda: not assigned(lab, "node-1"), "the release of the addresses")
        runtime.running.clear()
    problems = lab.check().failures()
    assert problems == []
