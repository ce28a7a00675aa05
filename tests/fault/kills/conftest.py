"""A lab of bare nodes whose agents the tests start and kill themselves, and the seed of everything random.

Modules named ``fault_*`` in this folder are shared by its tests, which are imported by path.
"""

import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fault_agent import QUICK_RECONCILE, NewAgent, NodeAgent, Tell, add_bare_node
from fault_play import Outcome, slow_scenarios
from fault_scenarios import Scenario

from vpc_cni.agent.steps import Step
from vpc_cni.lab.client import Lab
from vpc_cni.lab.rootless import find_refusal
from vpc_cni.netlink.netns import Netns


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.needs_root)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Return a function that shows a line of figures beside the report, captured output or not."""
    capturing = request.config.pluginmanager.getplugin("capturemanager")

    def write(line: str) -> None:
        # Not by the reporter: that of a process among several says nothing.
        with capturing.global_and_fixture_disabled():
            sys.stderr.write(f"\n  {line}\n")
            sys.stderr.flush()

    return write


@pytest.fixture
def seed(request: pytest.FixtureRequest, tell: Tell) -> int:
    """Return what everything random of the test grows from: VPC_CNI_SEED, else a new one, shown."""
    chosen = int(os.environ.get("VPC_CNI_SEED") or secrets.randbits(32))
    tell(f"{request.node.name}: VPC_CNI_SEED={chosen}")
    return chosen


@pytest.fixture(scope="package")
def lab() -> Iterator[Lab]:
    """A VPC without nodes; ``new_agent`` adds them."""
    refusal = find_refusal()
    if refusal is not None:
        pytest.skip(f"no lab on this machine: {refusal}")
    with Lab(name=f"kills-{os.getpid()}", nodes=0, agents=False, instance_type="m5.xlarge") as running:
        yield running


@pytest.fixture(scope="package")
def peer(lab: Lab) -> Iterator[Netns]:
    """The network of a node without agent, from where pods are reached across the VPC."""
    with Netns.open(add_bare_node(lab).netns_path) as netns:
        yield netns


@pytest.fixture(scope="package")
def slow_outcomes() -> Iterator[Mapping[tuple[Scenario, Step], "Future[Outcome]"]]:
    """Scenarios in which an ENI has to become a minute old."""
    with slow_scenarios() as pending:
        yield pending


@pytest.fixture(scope="package", autouse=True)
def _slow_ones_begin_early(request: pytest.FixtureRequest) -> None:
    """Let ENIs age while other tests run. Of several processes only the one that plays the scenarios needs it."""
    is_alone = not hasattr(request.config, "workerinput")
    if is_alone and any("slow_outcomes" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("slow_outcomes")


@pytest.fixture
def new_agent(lab: Lab) -> Iterator[NewAgent]:
    """Return a function that makes a node and its agent, not started; all end with the test."""
    made: list[NodeAgent] = []

    def make(settings: Mapping[str, str] | None = None) -> NodeAgent:
        made.append(NodeAgent(lab, add_bare_node(lab), {**QUICK_RECONCILE, **(settings or {})}))
        return made[-1]

    yield make
    lab.faults.clear()
    for agent in made:
        if agent.is_running:
            agent.kill()
