"""Labs whose agents keep running while the tests break what surrounds them.

Modules named ``live_*`` in this folder are shared by its tests, which are imported by path.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from live_node import LiveNode

from vpc_cni.lab.client import Lab
from vpc_cni.lab.rootless import find_refusal

StartNode = Callable[..., LiveNode]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.needs_root)


@pytest.fixture(scope="module")
def start_node(request: pytest.FixtureRequest) -> Iterator[StartNode]:
    """Return a function that starts a lab and gives its first node; settings of the agent go into ``env``.

    Comparison with EC2 runs every second, so that a test sees what it mends.
    """
    refusal = find_refusal()
    if refusal is not None:
        pytest.skip(f"no lab on this machine: {refusal}")
    with ExitStack() as running:

        def start(*, env: dict[str, str] | None = None, **options: Any) -> LiveNode:
            settings = {"VPC_CNI_RECONCILE_SECONDS": "1", **(env or {})}
            # The lab's name is part of a socket path, so it is short.
            name = f"live-{os.getpid()}-{len(labs)}"
            lab = running.enter_context(Lab(name=name, nodes=options.pop("nodes", 1), env=settings, **options))
            labs.append(lab)
            return running.enter_context(LiveNode(lab, "node-1"))

        labs: list[Lab] = []
        yield start
