"""The API of the add-on service with real clients. Modules named ``api_*`` in this folder are shared by its tests."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from api_site import Site, running

_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("api")) as served:
        yield served


@pytest.fixture(scope="package")
def eks(site: Site) -> Any:
    """A client whose every answer is checked against the service model."""
    return site.client()


@pytest.fixture
def cluster(site: Site) -> str:
    """A registered cluster of Kubernetes 1.29 that nobody else uses."""
    return site.register(f"cluster-{next(_numbers)}")
