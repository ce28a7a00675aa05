"""One API server for all tests of a process: it takes longer to start, and more of two cores, than most files of tests.

Modules ask for ``api_server`` (``manifests/conftest.py``), which gives it back to the next one as it was.
"""

from collections.abc import Iterator

import pytest

from tests.contract.manifests.conftest import ApiServer, running_api_server


@pytest.fixture(scope="session")
def api_server_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server that nobody has used before the first module; with xdist, one for each worker."""
    with running_api_server(tmp_path_factory.mktemp("api-server")) as server:
        yield server
