"""Labs with a real Kubernetes, for the tests in ``kubernetes`` and those that say so with a mark.

They need its programs on this machine, and are left out unless asked for: ``-m kubernetes``, their file by name, or
`make e2e`. Without the programs every test is skipped with the reason; ``VPC_CNI_PREPARE_KUBERNETES=1`` builds them
first. A cluster takes a third of a minute to start, so tests share one where they leave it as they found it; side by
side, those that share it run in one process.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.errors import HostError
from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.cluster import require_host
from vpc_cni.lab.kubernetes.installer import DEFAULT_ARCHIVE
from vpc_cni.lab.kubernetes.tooling.finder import require_binaries
from vpc_cni.lab.kubernetes.tooling.preparation import prepare

_FOLDER = Path(__file__).parent / "kubernetes"
sys.path.insert(0, str(_FOLDER))

from cluster_objects import end_pods, running, start_pods  # noqa: E402 - in that folder
from figures_file import Figures  # noqa: E402

PREPARE_VARIABLE = "VPC_CNI_PREPARE_KUBERNETES"
# A leaked ENI may stay for so long; the least that the setting allows.
LEAK_CLEANUP_SECONDS = 5
# With the start of a cluster, beside another one.
TEST_SECONDS = 300
SHARED = ("addon_lab", "cluster_lab")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "kubernetes: starts a real Kubernetes; left out unless asked for by -m")


# First, so that -m sees the marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(_FOLDER) or item.get_closest_marker("kubernetes")]
    for item in ours:
        item.add_marker(pytest.mark.kubernetes)
        item.add_marker(pytest.mark.xdist_group(sharing_group(item)))
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))
    if "kubernetes" not in config.option.markexpr:
        named = {Path(argument.partition("::")[0]).resolve() for argument in config.args}
        left_out = [item for item in ours if item.path not in named]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def sharing_group(item: pytest.Item) -> str:
    """Return what a test has in common with those that must run in the same process: a lab, or the file."""
    names = getattr(item, "fixturenames", ())
    return next((name for name in SHARED if name in names), item.path.stem)


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
def image_archive(kubernetes_programs: None) -> str:
    """Return the archive of our own image, or skip the test."""
    if not DEFAULT_ARCHIVE.is_file():
        pytest.skip("the image is not built: make image")
    return str(DEFAULT_ARCHIVE)


@pytest.fixture(scope="session")
def figures() -> Figures:
    """Return where tests note what they have measured: `build/e2e.json`."""
    return Figures()


@pytest.fixture(scope="session")
def cluster_lab(kubernetes_programs: None, figures: Figures) -> Iterator[Lab]:
    """Return a lab with agents of its own, whose nodes take 29 pods each."""
    name = f"k8s-{os.getpid()}"
    with Lab(name=name, instance_type="m5.large", env={"IP_COOLDOWN_PERIOD": "1"}, kubernetes=True) as lab:
        yield lab


@pytest.fixture(scope="session")
def addon_lab(image_archive: str) -> Iterator[Lab]:
    """Return a lab whose two nodes have the DaemonSet of our own image, and take 29 pods each.

    Who uses it leaves node-1 and node-2 Ready with the DaemonSet, and no pods.
    """
    name = f"k8s-ds-{os.getpid() % 10000}"
    env = {"IP_COOLDOWN_PERIOD": "5", "VPC_CNI_LEAK_CLEANUP_SECONDS": str(LEAK_CLEANUP_SECONDS)}
    with Lab(name=name, instance_type="m5.large", env=env, kubernetes=True, install=image_archive) as lab:
        yield lab


@pytest.fixture
def pair(addon_lab: Lab) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Return one pod on each node."""
    for node in ("node-1", "node-2"):
        start_pods(addon_lab, f"calm-{node}", 1, node)
    yield running(addon_lab, "app=calm-node-1")[0], running(addon_lab, "app=calm-node-2")[0]
    for node in ("node-1", "node-2"):
        end_pods(addon_lab, f"calm-{node}")
