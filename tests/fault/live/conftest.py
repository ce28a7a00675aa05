"""Labs whose agents keep running while the tests break what surrounds them.

Modules named ``live_*`` in this folder are shared by its tests, which are imported by path.
"""

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from live_node import LiveNode

from vpc_cni.lab.client import Lab
from vpc_cni.lab.rootless import find_refusal

StartLab = Callable[..., Lab]
StartNode = Callable[..., LiveNode]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.needs_root)


@pytest.fixture(scope="module")
def start_lab() -> Iterator[StartLab]:
    """Return a function that starts a lab, of one node unless told otherwise; it ends with the module."""
    refusal = find_refusal()
    if refusal is not None:
        pytest.skip(f"no lab on this machine: {refusal}")
    with ExitStack() as running:
        numbers = itertools.count()

        def start(**options: Any) -> Lab:
            # The lab's name is part of a socket path, so it is short.
            name = f"live-{os.getpid()}-{next(numbers)}"
            return running.enter_context(Lab(**{"nodes": 1, "name": name, **options}))

        yield start


@pytest.fixture(scope="module")
def start_node(start_lab: StartLab) -> Iterator[StartNode]:
    """Return a function that starts a lab and gives its first node; settings of the agent go into ``env``.

    Comparison with EC2 runs every second, so that a test sees what it mends.
    """
    with ExitStack() as running:

        def start(*, env: Mapping[str, str] | None = None, **options: Any) -> LiveNode:
            lab = start_lab(env={"VPC_CNI_RECONCILE_SECONDS": "1", **(env or {})}, **options)
            return running.enter_context(LiveNode(lab, "node-1"))

        yield start


@pytest.fixture(scope="package", autouse=True)
def _aging_begins_early(request: pytest.FixtureRequest) -> None:
    """Let ENIs age while other tests run. Of several processes only the one that runs the test of them needs it."""
    is_alone = not hasattr(request.config, "workerinput")
    if is_alone and any("aging" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("aging")


@pytest.fixture(scope="package")
def aging() -> Iterator[Lab]:
    """Nodes with 3 pods on the first and one on the second ENI, which cannot go before it is a minute old."""
    if find_refusal() is not None:
        pytest.skip(f"no lab on this machine: {find_refusal()}")
    settings = {"VPC_CNI_RECONCILE_SECONDS": "1", "IP_COOLDOWN_PERIOD": "0", "WARM_IP_TARGET": "1"}
    name = f"aging-{os.getpid()}"
    with Lab(name=name, nodes=3, instance_type="t3.small", env=settings, detach_seconds=4) as lab:
        for node in lab.nodes:
            for _ in range(4):
                lab.add_pod(node.name)
        yield lab
