"""Fixtures that give a test a VPC: ``pytest_plugins = ["vpc_cni.lab.pytest_plugin"]`` in a ``conftest.py``.

``vpc``    the lab, one for the whole session (one for each worker under xdist)
``node``   its first node
``pod``    a function that adds a pod: ``pod()``, ``pod("node-2")``; all of them are deleted after the test

Override ``vpc_options`` for another shape. Faults that a test leaves behind are cleared after it.
"""

import os
from collections.abc import Callable, Iterator

import pytest

from vpc_cni.lab.client import Lab
from vpc_cni.lab.info import NodeInfo, PodInfo
from vpc_cni.lab.options import LabOptions
from vpc_cni.lab.rootless import find_refusal

AddPod = Callable[..., PodInfo]


@pytest.fixture(scope="session")
def vpc_options() -> LabOptions:
    """Return the shape of the session's lab."""
    return LabOptions()


@pytest.fixture(scope="session")
def _session_vpc(vpc_options: LabOptions) -> Iterator[Lab]:
    refusal = find_refusal()
    if refusal is not None:
        pytest.skip(f"no lab on this machine: {refusal}")
    # The process number keeps workers, and runs side by side, apart.
    with Lab(vpc_options, name=f"pytest-{os.getpid()}") as lab:
        yield lab


@pytest.fixture
def vpc(_session_vpc: Lab) -> Iterator[Lab]:
    """Return the session's lab; faults and pods of the test end with it."""
    before = {pod.name for pod in _session_vpc.pods}
    yield _session_vpc
    _session_vpc.faults.clear()
    _session_vpc.delete_pod(*(pod.name for pod in _session_vpc.pods if pod.name not in before))


@pytest.fixture
def node(vpc: Lab) -> NodeInfo:
    """Return the first node."""
    return vpc.nodes[0]


@pytest.fixture
def pod(vpc: Lab) -> AddPod:
    """Return a function that adds a pod, on a node of choice; the pods end with the test."""
    return vpc.add_pod
