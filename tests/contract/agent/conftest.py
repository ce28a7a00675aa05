"""The running agent of a lab node behind the real plugin, as a container runtime meets both."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Nodes are driven here just as the fault tests do.
sys.path.insert(0, str(Path(__file__).parents[2] / "fault" / "live"))

from live_node import LiveNode

from vpc_cni.lab.client import Lab
from vpc_cni.lab.rootless import find_refusal


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.needs_root)


@pytest.fixture(scope="package")
def node() -> Iterator[LiveNode]:
    """A node whose first ENI takes 3 pods, so that tests meet both kinds of pods quickly."""
    refusal = find_refusal()
    if refusal is not None:
        pytest.skip(f"no lab on this machine: {refusal}")
    settings = {"VPC_CNI_RECONCILE_SECONDS": "1", "IP_COOLDOWN_PERIOD": "0"}
    with (
        Lab(name=f"contract-{os.getpid()}", nodes=1, instance_type="t3.small", env=settings) as lab,
        LiveNode(lab, "node-1") as running,
    ):
        yield running
        assert running.bugs() == []
