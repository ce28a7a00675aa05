"""The health probe as kubelet runs it, against agents that serve, wait, hang and are gone."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from live_node import LiveNode, wait_until

from vpc_cni.lab.runtime.invoke import PROGRAM_PATH
from vpc_cni.netlink.netns import Netns
from vpc_cni.plugin.build import PROBE_NAME, ensure_program, read_version
from vpc_cni.plugin.locate import host_architecture

Probe = Callable[..., "subprocess.CompletedProcess[str]"]
READINESS: tuple[str, ...] = ("-addr=:50051", "-connect-timeout=5s", "-rpc-timeout=5s")
LIVENESS = (*READINESS, "-service=liveness")
HEALTHY, NOT_CONNECTED, REQUEST_FAILED, UNHEALTHY = 0, 2, 3, 4


@pytest.fixture(scope="module")
def probe() -> Probe:
    binary = ensure_program(PROBE_NAME, host_architecture(), version=read_version())

    def run(run_dir: Path | str, *flags: str) -> "subprocess.CompletedProcess[str]":
        environment = {"VPC_CNI_RUN_DIR": str(run_dir)}
        return subprocess.run(
            (binary, *flags), env=environment, capture_output=True, text=True, check=False, timeout=20
        )

    return run


@pytest.fixture
def waiting_agent(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """An agent that waits for instance metadata; its run directory is ``tmp_path``."""
    environment = {
        "PATH": PROGRAM_PATH,
        "ENABLE_IPv4": "true",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9",
        "VPC_CNI_RUN_DIR": str(tmp_path),
        "AWS_VPC_K8S_CNI_LOG_FILE": str(tmp_path / "log"),
    }
    with (
        Netns.create(lo_up=True) as netns,
        netns.spawn([sys.executable, "-m", "vpc_cni.agent"], env=environment, stdout=subprocess.DEVNULL) as agent,
    ):
        yield agent
        agent.kill()


def test_an_agent_that_serves_is_healthy(node: LiveNode, probe: Probe) -> None:
    for flags in (READINESS, LIVENESS):
        done = probe(node.info.run_dir, *flags)
        assert (done.returncode, done.stdout) == (HEALTHY, "status: SERVING\n")


def test_probes_do_not_delay_an_agent(node: LiveNode, probe: Probe) -> None:
    """A burst of probes, as after a sleep of the machine, is answered in full."""
    started = time.monotonic()
    assert [probe(node.info.run_dir, *READINESS).returncode for _ in range(30)] == [HEALTHY] * 30
    assert time.monotonic() - started < 10


def test_an_agent_that_waits_is_alive_and_says_why_it_does_not_serve(
    waiting_agent: "subprocess.Popen[bytes]", tmp_path: Path, probe: Probe
) -> None:
    wait_until(lambda: "instance metadata" in probe(tmp_path, *READINESS).stderr, 10, "the reason")
    assert probe(tmp_path, *READINESS).returncode == UNHEALTHY
    assert probe(tmp_path, *LIVENESS).returncode == HEALTHY


def test_an_agent_that_hangs_is_found_out_in_time(
    waiting_agent: "subprocess.Popen[bytes]", tmp_path: Path, probe: Probe
) -> None:
    wait_until(lambda: probe(tmp_path, *LIVENESS).returncode == HEALTHY, 10, "a live agent")
    waiting_agent.send_signal(signal.SIGSTOP)
    done = probe(tmp_path, "-addr=:50051", "-rpc-timeout=500ms")
    assert (done.returncode, "no answer in time" in done.stderr) == (REQUEST_FAILED, True)
    waiting_agent.send_signal(signal.SIGCONT)
    assert probe(tmp_path, *LIVENESS).returncode == HEALTHY


def test_an_agent_that_is_gone_cannot_be_reached(
    waiting_agent: "subprocess.Popen[bytes]", tmp_path: Path, probe: Probe
) -> None:
    wait_until(lambda: probe(tmp_path, *LIVENESS).returncode == HEALTHY, 10, "a live agent")
    waiting_agent.kill()
    waiting_agent.wait()
    assert probe(tmp_path, *READINESS).returncode == NOT_CONNECTED
