"""Two services on one PostgreSQL: each piece of work is done once, and the death of one is made good by the other."""

import contextlib
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from botocore.exceptions import BotoCoreError

from bench.addons.clusters import Simulation
from tests.contract.addons.conftest import new_database
from tests.contract.addons.server.conftest import Process, add_simulated, eventually, simulate
from vpc_cni.addons.clusters import open_vault
from vpc_cni.addons.model import AddonStatus
from vpc_cni.addons.store import Store

Start = Callable[..., Process]
CLUSTERS = 16
NAMES = [f"c-{number:02}" for number in range(CLUSTERS)]
VERSION, NEXT = "v1.16.0-eksbuild.1", "v1.16.2-eksbuild.1"
OBJECTS = 6


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    made = simulate(CLUSTERS, tmp_path)
    yield made
    made.stop()


@pytest.fixture
def url(simulation: Simulation, postgresql: str, tmp_path: Path) -> str:
    """A store in which all simulated clusters are registered, and two state folders with the same keys."""
    url = new_database(postgresql)
    store, vault = Store(url), open_vault(tmp_path / "a" / "seal.key")
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a" / "seal.key", tmp_path / "b")
    for name, port in zip(NAMES, simulation.ports, strict=True):
        add_simulated(store, vault, name, port, tmp_path)
    store.close()
    return url


def all_active(url: str) -> bool:
    store = Store(url)
    try:
        found = [store.addons.get(name, "vpc-cni") for name in NAMES]
    finally:
        store.close()
    assert {each.status for each in found} <= {AddonStatus.CREATING, AddonStatus.UPDATING, AddonStatus.ACTIVE}
    return all(each.status is AddonStatus.ACTIVE for each in found)


def ended(service: Process) -> int:
    """Return how many operations a replica has ended."""
    lines = service.probe("/metrics")[1].splitlines()
    return int(sum(float(line.split()[-1]) for line in lines if line.startswith("vpc_cni_addons_operations_total{")))


def test_each_piece_of_work_is_done_once(simulation: Simulation, url: str, start: Start, tmp_path: Path) -> None:
    first = start("--store", url, folder="a")
    shutil.copy(tmp_path / "a" / "access-keys.json", tmp_path / "b")
    second = start("--store", url, folder="b")
    clients = (first.client(), second.client())
    for number, name in enumerate(NAMES):
        clients[number % 2].create_addon(clusterName=name, addonName="vpc-cni", addonVersion=VERSION)
    eventually(lambda: all_active(url))
    assert [simulation.writes(index) for index in range(CLUSTERS)] == [OBJECTS] * CLUSTERS
    done = ended(first), ended(second)
    assert sum(done) == CLUSTERS
    assert min(done) > 0, "one of them did nothing"
    # What one accepted, the other shows.
    assert clients[1].list_addons(clusterName=NAMES[0])["addons"] == ["vpc-cni"]


def test_a_replica_goes_on_with_the_work_of_one_that_died(
    simulation: Simulation, url: str, start: Start, tmp_path: Path
) -> None:
    def ask(eks: Any, name: str) -> None:
        eks.create_addon(clusterName=name, addonName="vpc-cni", addonVersion=VERSION, clientRequestToken=name)

    first = start("--store", url, folder="a", crash_at="object-written:3")
    client = first.client()
    for name in NAMES[:3]:
        with contextlib.suppress(BotoCoreError):
            ask(client, name)
    assert first.wait() == -signal.SIGKILL
    # Half a minute goes by: its leases are over.
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE operations SET lease_until = lease_until - 30 WHERE lease_until > 0")
    shutil.copy(tmp_path / "a" / "access-keys.json", tmp_path / "b")
    second = start("--store", url, folder="b")
    other = second.client()
    # Clients that got no answer ask again, elsewhere.
    for name in NAMES:
        ask(other, name)
    eventually(lambda: all_active(url), seconds=60)
    assert ended(second) == CLUSTERS
    writes = [simulation.writes(index) for index in range(CLUSTERS)]
    assert writes[3:] == [OBJECTS] * (CLUSTERS - 3)
    # What the dead one had written is written again, and up to one more in each of its other threads.
    assert min(writes[:3]) >= OBJECTS
    assert 3 <= sum(writes[:3]) - 3 * OBJECTS <= 5
