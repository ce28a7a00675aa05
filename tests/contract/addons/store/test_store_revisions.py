"""A store of every earlier release becomes one of this release, with all that is in it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tests.contract.addons.conftest import new_database
from vpc_cni.addons.model import AddonStatus
from vpc_cni.addons.states import End
from vpc_cni.addons.store import Store, sqlite_url
from vpc_cni.addons.store.migrating import migrate, revisions
from vpc_cni.addons.store.tables import METADATA, REVISION
from vpc_cni.errors import ConfigurationError, HostError

CLUSTER = {
    "name": "old",
    "uid": "u",
    "version": "1.28",
    "endpoint": "https://x",
    "certificate_authority": "Q0E=",
    "created_at": 1.5,
    "platform_version": "eks.1",
    "role_arn": "",
    "status": "ACTIVE",
    "issuer": "",
    "network": '{"family": "ipv4", "service_cidr": "", "vpc_id": "", "subnet_ids": ["s"], "security_group_ids": []}',
    "tags": '{"a": "b"}',
}
ADDON = {
    "cluster": "old",
    "name": "vpc-cni",
    "uid": "a",
    "version": "v1",
    "status": "UPDATING",
    "created_at": 1.0,
    "modified_at": 2.0,
    "issues": "[]",
    "tags": "{}",
}
OPERATION = {
    "id": "o",
    "cluster": "old",
    "addon": "vpc-cni",
    "kind": "update",
    "version": "v1",
    "created_at": 1.0,
    "previous_version": "v0",
    "mode": "NONE",
    "update_id": "u-1",
    "preserve": False,
    "deadline": 0.0,
    "due_at": 0.0,
    "attempts": 0,
    "lease_holder": "",
    "lease_number": 4,
    "lease_until": 0.0,
}


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def insert(connection: sa.Connection, table: str, row: dict[str, Any]) -> None:
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)  # noqa: S608 # our own names


@pytest.mark.parametrize("revision", revisions())
def test_a_store_of_each_revision_opens_with_all_that_is_in_it(store_url: str, revision: str) -> None:
    with connected(store_url) as connection:
        migrate(connection, revision)
        for table, row in (("clusters", CLUSTER), ("addons", ADDON), ("operations", OPERATION)):
            insert(connection, table, row)
    store = Store(store_url)
    cluster = store.clusters.get("old")
    assert (cluster.tags, cluster.network.subnet_ids, cluster.created_at) == ({"a": "b"}, ("s",), 1.5)
    lease = store.leases.claim("w", 10, unreachable=False)
    assert lease is not None
    assert (lease.number, lease.operation.previous_version, lease.unreachable_since) == (5, "v0", 0)
    store.leases.finish(lease, End.DONE)
    assert store.addons.get("old", "vpc-cni").status is AddonStatus.ACTIVE
    assert len(store.looks.claim(1, 30, unreachable=False)) == 1
    store.close()


def test_the_revisions_lead_to_the_tables_that_the_code_knows(store_url: str) -> None:
    Store(store_url).close()
    with connected(store_url) as connection:
        found = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(found, METADATA) == []


def test_there_are_several_revisions_in_one_line() -> None:
    assert revisions() == ("0001", "0002", "0003")
    assert revisions()[-1] == REVISION


def test_replicas_that_start_together_migrate_once(store_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        for store in threads.map(Store, [store_url] * 4):
            store.close()
    with connected(store_url) as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == [
            revisions()[-1]
        ]


def test_a_store_of_a_newer_release_is_left_alone(store_url: str) -> None:
    Store(store_url).close()
    with connected(store_url) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(HostError, match="newer release"):
        Store(store_url)


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "store.db"
    store = Store(sqlite_url(file))
    modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
    store.close()
    assert modes["store.db"] == 0o600
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize(
    "url", ["", "nothing", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "oracle://secret:word@x/y"]
)
def test_a_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Store(url)
    assert "word" not in str(refused.value).replace("PASSWORD", "")


def test_a_database_that_is_not_there_is_told_without_its_password() -> None:
    with pytest.raises(HostError) as refused:
        Store("postgresql://user:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(refused.value)


def test_a_user_who_may_make_no_tables_is_told_in_one_line(postgresql: str) -> None:
    url = new_database(postgresql)
    with connected(url) as connection:
        connection.execute(sa.text("REVOKE ALL ON SCHEMA public FROM PUBLIC"))
        connection.execute(sa.text("DROP ROLE IF EXISTS nobody_much"))
        connection.execute(sa.text("CREATE ROLE nobody_much LOGIN"))
    with pytest.raises(HostError) as refused:
        Store(url.replace("tests@", "nobody_much@"))
    text = str(refused.value)
    assert "GRANT CREATE" in text
    assert ("\n" in text, "psycopg" in text) == (False, False)


def test_a_file_that_is_no_store_is_told(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    file.write_text("garbage " * 100)
    with pytest.raises(HostError, match="is a store") as refused:
        Store(sqlite_url(file))
    assert "\n" not in str(refused.value)


def test_what_is_written_stays_when_the_process_ends(tmp_path: Path, cluster: Callable[..., Any]) -> None:
    url = sqlite_url(tmp_path / "store.db")
    store = Store(url)
    store.clusters.add(cluster())
    store.close()
    assert Store(url).clusters.get("prod").name == "prod"
