"""A store in SQLite and one in PostgreSQL: every test here holds for both."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.contract.addons.conftest import new_database
from vpc_cni.addons.model import (
    AddonRecord,
    AddonStatus,
    ClusterRecord,
    Operation,
    OperationKind,
    UpdateRecord,
    UpdateStatus,
)
from vpc_cni.addons.store import Store, sqlite_url

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql_store(postgresql: str) -> Iterator[tuple[str, Store]]:
    """One database for many tests: to make one takes longer than most of them."""
    url = new_database(postgresql)
    opened = Store(url)
    yield url, opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, without tables."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "store.db")
    return new_database(request.getfixturevalue("postgresql"))


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    if request.param == "sqlite":
        opened = Store(sqlite_url(tmp_path / "store.db"))
        yield opened
        opened.close()
        return
    url, opened = request.getfixturevalue("postgresql_store")
    with psycopg.connect(url) as connection:
        connection.execute("TRUNCATE clusters, tokens CASCADE")
    yield opened


@pytest.fixture
def cluster() -> Callable[[str], ClusterRecord]:
    def make(name: str = "prod") -> ClusterRecord:
        return ClusterRecord(name, f"uid-{name}", "1.29", "https://127.0.0.1:6443", "Q0E=", 1000.5, tags={"team": "a"})

    return make


@pytest.fixture
def addon() -> Callable[..., AddonRecord]:
    def make(cluster: str = "prod", **changes: Any) -> AddonRecord:
        values: dict[str, Any] = {"version": "v1.16.2-eksbuild.1", "status": AddonStatus.CREATING}
        return AddonRecord(
            cluster, "vpc-cni", uid="addon-uid", created_at=1000.0, modified_at=1000.1, **(values | changes)
        )

    return make


@pytest.fixture
def operation() -> Callable[..., Operation]:
    def make(kind: OperationKind = OperationKind.CREATE, cluster: str = "prod", **changes: Any) -> Operation:
        values: dict[str, Any] = {"version": "v1.16.2-eksbuild.1", "created_at": 1000.0}
        return Operation(f"operation-{next(_numbers)}", cluster, "vpc-cni", kind, **(values | changes))

    return make


@pytest.fixture
def update() -> Callable[..., UpdateRecord]:
    def make(id_: str = "update-1", cluster: str = "prod", **changes: Any) -> UpdateRecord:
        values: dict[str, Any] = {"addon": "vpc-cni", "type": "AddonUpdate", "created_at": 2000.0}
        values |= {"status": UpdateStatus.IN_PROGRESS, "params": (("AddonVersion", "v1.16.4-eksbuild.2"),)}
        return UpdateRecord(id_, cluster, **(values | changes))

    return make
