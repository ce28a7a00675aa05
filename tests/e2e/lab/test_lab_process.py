"""A whole lab with agents: how fast it is up, what its agents may do, and that a crash leaves nothing."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from vpc_cni.lab import Lab
from vpc_cni.lab.paths import lab_paths

NET_ADMIN_ALONE = f"{1 << 12:016x}"


@pytest.fixture
def lab():
    lab = Lab(name=f"proc-{os.getpid()}")
    yield lab
    lab.down()


def test_two_nodes_are_up_in_less_than_ten_seconds(lab):
    started = time.monotonic()
    lab.up()
    assert time.monotonic() - started < 10
    for node in lab.nodes:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{node.agent_pid}/status").read_text().splitlines())
        assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd")} == {NET_ADMIN_ALONE}
        assert os.stat(f"/proc/{node.agent_pid}/ns/net").st_ino == os.stat(node.netns_path).st_ino


def test_a_killed_lab_takes_agents_and_namespaces_with_it(lab):
    lab.up()
    lab.add_pods(4)
    agents = [node.agent_pid for node in lab.nodes]
    inodes = {os.stat(place.netns_path).st_ino for place in (*lab.nodes, *lab.pods)}
    os.kill(lab.pid, signal.SIGKILL)
    wait_until(lambda: not any(is_running(pid) for pid in agents))
    wait_until(lambda: not inodes & namespaces_of_processes())
    assert lab.options.name not in Path("/proc/self/mountinfo").read_text()
    lab.down()
    assert not lab_paths(lab.options.name).root.exists()


def test_an_agent_that_is_not_supervised_stays_dead(lab):
    lab.up()
    lab.supervise_agent("node-1", False)
    lab.kill_agent("node-1")
    assert lab.node("node-1").agent_pid is None
    lab.restart_agent("node-1")
    assert lab.node("node-1").agent_pid is not None


def test_the_lab_is_an_async_context_manager_too():
    async def main():
        async with Lab(name=f"async-{os.getpid()}", nodes=1) as lab:
            return await asyncio.to_thread(lab.add_pod)

    assert asyncio.run(main()).node == "node-1"


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def namespaces_of_processes():
    found = set()
    for entry in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(os.stat(entry).st_ino)
        except OSError:
            continue
    return found


def wait_until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
