"""A store in SQLite and one in PostgreSQL: every test here holds for both."""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

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

_SETTINGS = ("listen_addresses=", "fsync=off", "max_connections=60")
_numbers = itertools.count(1)


def _postgresql_folder() -> Path | None:
    """Return where PostgreSQL's programs are: Debian keeps them off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a PostgreSQL of our own on a socket; return the part of its URLs before the name of a database."""
    programs = _postgresql_folder()
    if programs is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    as_root = os.geteuid() == 0
    owner = pwd.getpwnam("postgres") if as_root else pwd.getpwuid(os.geteuid())
    user: dict[str, Any] = {"user": owner.pw_uid, "group": owner.pw_gid} if as_root else {}
    # Below /tmp itself: pytest's folders are closed to other users, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="pg.", dir="/tmp"))
    data = folder / "data"
    os.chown(folder, owner.pw_uid, owner.pw_gid)

    def run(program: str, *words: str) -> None:
        command = [str(programs / program), *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, timeout=60, **user)

    run("initdb", "--pgdata", str(data), "--auth=trust", "--username=tests", "--no-sync")
    options = " ".join(f"-c {each}" for each in (*_SETTINGS, f"unix_socket_directories={folder}"))
    run("pg_ctl", "--pgdata", str(data), "--wait", "--log", str(folder / "log"), "--options", options, "start")
    try:
        yield f"postgresql://tests@/NAME?host={folder}"
    finally:
        run("pg_ctl", "--pgdata", str(data), "--wait", "--mode=immediate", "stop")
        shutil.rmtree(folder)


def _new_database(pattern: str) -> str:
    name = f"store_{next(_numbers)}"
    with psycopg.connect(pattern.replace("NAME", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload] # no literal, but ours
    return pattern.replace("NAME", name)


@pytest.fixture(scope="session")
def postgresql_store(postgresql: str) -> Iterator[tuple[str, Store]]:
    """One database for many tests: to make one takes longer than most of them."""
    url = _new_database(postgresql)
    opened = Store(url)
    yield url, opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, without tables."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "store.db")
    return _new_database(request.getfixturevalue("postgresql"))


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
