"""The fixtures that outsiders use, here too."""

import pytest

from vpc_cni.lab import LabOptions
from vpc_cni.lab.pytest_plugin import _session_vpc, node, pod, vpc

__all__ = ["_session_vpc", "node", "pod", "vpc"]


@pytest.fixture(scope="session")
def vpc_options() -> LabOptions:
    """Return the usual lab with a short cooldown: the nodes are small and the tests many."""
    return LabOptions(env={"IP_COOLDOWN_PERIOD": "2"})
