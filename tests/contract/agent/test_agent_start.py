"""How an agent starts, or why it does not: settings, metadata that is away, a second agent."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from live_node import METRICS_PORT, http_get, wait_until

from vpc_cni.lab.runtime.invoke import PROGRAM_PATH
from vpc_cni.netlink.netns import Netns

AGENT = [sys.executable, "-m", "vpc_cni.agent"]
# Nobody listens there.
AWAY = "http://127.0.0.1:9"
END_SECONDS = 5.0

StartAgent = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def netns() -> Iterator[Netns]:
    with Netns.create(lo_up=True) as made:
        yield made


@pytest.fixture
def start(netns: Netns, tmp_path: Path) -> Iterator[StartAgent]:
    """Return a function that starts an agent in a namespace of its own; it sees these variables only."""
    running: list[subprocess.Popen[str]] = []

    def run(**settings: str) -> "subprocess.Popen[str]":
        environment = {
            "PATH": PROGRAM_PATH,
            "ENABLE_IPv4": "true",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": AWAY,
            "VPC_CNI_RUN_DIR": str(tmp_path / "run"),
            "HOST_CNI_CONFDIR_PATH": str(tmp_path),
            "AWS_VPC_K8S_CNI_LOG_FILE": "stdout",
            **settings,
        }
        command = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running.append(netns.spawn(AGENT, env=environment, **command))
        return running[-1]

    yield run
    for process in running:
        process.kill()
        process.communicate()


def test_all_wrong_settings_are_named_at_once(start: StartAgent) -> None:
    wrong = {
        "WARM_IP_TARGET": "many",
        "MINIMUM_IP_TARGET": "-1",
        "IP_COOLDOWN_PERIOD": "soon",
        "VPC_CNI_RECONCILE_SECONDS": "0",
        "AWS_VPC_ENI_MTU": "100000",
        "AWS_VPC_K8S_CNI_VETHPREFIX": "longerthan4",
        "AWS_VPC_K8S_CNI_RANDOMIZESNAT": "dice",
        "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "10.0.0.0/33",
        "AWS_VPC_K8S_PLUGIN_LOG_FILE": "stdout",
        "POD_SECURITY_GROUP_ENFORCING_MODE": "lenient",
    }
    agent = start(**wrong)
    output, errors = agent.communicate(timeout=END_SECONDS)
    assert (agent.returncode, output) == (1, "")
    assert [name for name in wrong if name not in errors] == []
    assert "Traceback" not in errors


def test_modes_that_are_not_built_are_refused_by_name(start: StartAgent) -> None:
    modes = ("ENABLE_PREFIX_DELEGATION", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "ENABLE_POD_ENI", "ENABLE_IPv6")
    agent = start(**dict.fromkeys(modes, "true"))
    _output, errors = agent.communicate(timeout=END_SECONDS)
    assert agent.returncode == 1
    assert [name for name in modes if name not in errors] == []


def test_an_agent_without_metadata_is_alive_not_ready_and_ends_quickly(start: StartAgent, netns: Netns) -> None:
    agent = start()

    def page(path: str) -> tuple[int, str]:
        try:
            return netns.run(http_get, "127.0.0.1", METRICS_PORT, path)
        except OSError:
            return 0, ""

    wait_until(lambda: "instance metadata" in page("/readyz")[1], 10, "the reason on /readyz")
    assert page("/readyz")[0] == 503
    assert page("/livez")[0] == 200
    assert "vpc_cni_ready 0.0" in page("/metrics")[1]
    started = time.monotonic()
    agent.terminate()
    agent.communicate(timeout=END_SECONDS)
    assert agent.returncode == 0
    assert time.monotonic() - started < END_SECONDS


def test_a_second_agent_with_the_same_folder_is_refused(start: StartAgent, tmp_path: Path) -> None:
    start()
    wait_until((tmp_path / "run" / "lock").exists, 5, "the first agent's lock")
    second = start()
    _output, errors = second.communicate(timeout=END_SECONDS)
    assert second.returncode == 1
    assert "another agent uses" in errors


def test_an_unknown_argument_is_refused(start: StartAgent) -> None:
    done = subprocess.run([*AGENT, "--help"], capture_output=True, text=True, env=dict(os.environ), check=False)
    assert done.returncode == 2
    assert "docs/settings.md" in done.stderr
