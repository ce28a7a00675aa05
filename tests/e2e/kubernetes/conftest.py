"""A lab with a real Kubernetes for the tests of this folder, where its programs are on this machine.

The tests are left out unless asked for: ``-m kubernetes``, or `make e2e`. Without the programs every test is skipped
with the reason; ``VPC_CNI_PREPARE_KUBERNETES=1`` builds them first.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vpc_cni.errors import HostError
from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.cluster import require_host
from vpc_cni.lab.kubernetes.tooling.finder import require_binaries
from vpc_cni.lab.kubernetes.tooling.preparation import prepare

PREPARE_VARIABLE = "VPC_CNI_PREPARE_KUBERNETES"


FIGURES = Path(__file__).parents[3] / "build" / "e2e.json"
_HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "kubernetes: starts a real Kubernetes; left out unless asked for by -m")


# First, so that -m sees the marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(_HERE)]
    for item in ours:
        item.add_marker(pytest.mark.kubernetes)
    if "kubernetes" not in config.option.markexpr:
        items[:] = [item for item in items if item not in ours]
        config.hook.pytest_deselected(items=ours)


@pytest.fixture(scope="session")
def kubernetes_programs() -> None:
    """Make sure that a cluster can start here, or skip the test."""
    if os.environ.get(PREPARE_VARIABLE) == "1":
        prepare(print)
    try:
        require_host()
        require_binaries()
    except HostError as err:
        pytest.skip(f"{err} (or set {PREPARE_VARIABLE}=1)")


@pytest.fixture(scope="session")
def figures() -> Iterator[dict[str, float]]:
    """Return where tests note what they have measured, in seconds or counts.

    `build/e2e.json` has it at the end, beside the figures of tests that did not run this time.
    """
    noted: dict[str, float] = {}
    yield noted
    FIGURES.parent.mkdir(exist_ok=True)
    earlier = json.loads(FIGURES.read_text()) if FIGURES.is_file() else {}
    rounded = {**earlier, **{name: round(value, 2) for name, value in noted.items()}}
    FIGURES.write_text(json.dumps(rounded, indent=1, sort_keys=True) + "\n")


@pytest.fixture(scope="module")
def cluster_lab(kubernetes_programs: None, figures: dict[str, float]) -> Iterator[Lab]:
    """Return a lab whose nodes take 29 pods each."""
    name = f"k8s-{os.getpid()}"
    lab = Lab(name=name, nodes=2, instance_type="m5.large", env={"IP_COOLDOWN_PERIOD": "1"}, kubernetes=True)
    started = time.monotonic()
    with lab:
        figures["lab_ready_seconds"] = time.monotonic() - started
        yield lab
        ending = time.monotonic()
    figures["lab_down_seconds"] = time.monotonic() - ending
