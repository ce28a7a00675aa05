"""How much of the past a store keeps."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from vpc_cni.addons.model import OperationKind, UpdateStatus
from vpc_cni.addons.states import End
from vpc_cni.addons.store import NoUpdateError, Store, sqlite_url
from vpc_cni.addons.store.rows import update_row
from vpc_cni.addons.store.tables import UPDATES

Make = Callable[..., Any]
KEPT = 3


@pytest.fixture(params=["sqlite", "postgresql"])
def short(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store that keeps few updates."""
    if request.param == "sqlite":
        url = sqlite_url(tmp_path / "store.db")
    else:
        url, _ = request.getfixturevalue("postgresql_store")
        with psycopg.connect(url) as connection:
            connection.execute("TRUNCATE clusters, tokens CASCADE")
    opened = Store(url, keep_updates=KEPT)
    yield opened
    opened.close()


def finish(store: Store) -> None:
    lease = store.leases.claim("worker", 60.0, unreachable=False)
    assert lease is not None
    store.leases.finish(lease, End.DONE)


def ask_for_update(store: Store, number: int, update: Make, operation: Make, addon: str = "vpc-cni") -> None:
    seen, id_ = store.addons.get("prod", addon), f"u-{number:03}"
    record = update(id_, addon=addon, created_at=2000.0 + number // 2)
    work = replace(operation(OperationKind.UPDATE, update_id=id_), addon=addon)
    store.requests.accept_update(seen, replace(seen, modified_at=2000.0 + number), record, work)


def numbers(*found: int) -> tuple[str, ...]:
    return tuple(f"u-{number:03}" for number in found)


@pytest.fixture
def settled(short: Store, cluster: Make, addon: Make, operation: Make) -> Store:
    short.clusters.add(cluster())
    short.requests.accept_create(addon(), operation())
    finish(short)
    return short


def test_the_newest_finished_updates_are_kept_and_the_one_under_way(
    settled: Store, update: Make, operation: Make
) -> None:
    for number in range(6):
        ask_for_update(settled, number, update, operation)
        finish(settled)
    ask_for_update(settled, 6, update, operation)
    assert settled.updates.list_ids("prod", "vpc-cni").items == numbers(6, 5, 4, 3)
    with pytest.raises(NoUpdateError):
        settled.updates.get("prod", "u-002", "vpc-cni")
    finish(settled)
    assert settled.updates.get("prod", "u-006", "vpc-cni").status is UpdateStatus.SUCCESSFUL


def test_an_update_under_way_stays_however_old_it_is(settled: Store, update: Make) -> None:
    old = update("u-old", addon=None, created_at=1.0)
    settled.requests.accept_cluster_update(old, {"version": "1.30"})
    for number in range(6):
        done = update(f"u-{number:03}", addon=None, status=UpdateStatus.SUCCESSFUL, created_at=100.0 + number)
        settled.requests.accept_cluster_update(done, {"version": "1.30"})
    assert settled.updates.list_ids("prod").items == (*numbers(5, 4, 3), "u-old")


def test_each_addon_and_the_cluster_have_a_history_of_their_own(
    settled: Store, addon: Make, update: Make, operation: Make
) -> None:
    settled.requests.accept_create(replace(addon(), name="other"), replace(operation(), addon="other"))
    finish(settled)
    for number in range(3):
        ask_for_update(settled, number, update, operation, "other")
        finish(settled)
    for number in range(3, 9):
        ask_for_update(settled, number, update, operation)
        finish(settled)
    assert settled.updates.list_ids("prod", "other").items == numbers(2, 1, 0)


def test_a_long_history_of_before_shrinks_from_its_oldest_end(settled: Store, update: Make, operation: Make) -> None:
    with settled._database.writing() as connection:
        for number in range(120):
            old = update(f"old-{number:03}", status=UpdateStatus.FAILED, created_at=float(number))
            connection.execute(sa.insert(UPDATES).values(update_row(old)))
    sizes = []
    for number in range(3):
        ask_for_update(settled, number, update, operation)
        finish(settled)
        left = settled.updates.list_ids("prod", "vpc-cni", limit=500).items
        sizes.append(len(left))
        assert "old-119" in left, "the newest of the old ones"
    assert sizes == [71, 22, 4]


def test_replicas_that_write_at_the_same_time_sweep_together(settled: Store, cluster: Make, update: Make) -> None:
    settled.clusters.add(cluster("other"))
    url = settled._database._url.render_as_string(hide_password=False)
    replicas, failures = (settled, Store(url, keep_updates=KEPT)), list[Exception]()

    def ask(worker: int) -> None:
        name = ("prod", "other")[worker % 2]
        for number in range(12):
            done = update(
                f"u-{number:03}-{worker}", name, addon=None, status=UpdateStatus.SUCCESSFUL, created_at=float(number)
            )
            try:
                replicas[worker // 2].requests.accept_cluster_update(done, {"version": "1.30"})
            except Exception as err:
                failures.append(err)

    threads = [threading.Thread(target=ask, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    replicas[1].close()
    assert failures == []
    for name, workers in (("prod", (0, 2)), ("other", (1, 3))):
        left = settled.updates.list_ids(name).items
        assert len(left) == KEPT
        assert set(left[:2]) == {f"u-011-{worker}" for worker in workers}
