"""A worker that stood still for longer than its lease, and wakes when another has done its work."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.addons.clusters import Simulation
from tests.contract.addons.server import suspended
from tests.contract.addons.server.conftest import FORKS, add_simulated, eventually, simulate
from vpc_cni.addons.clusters import open_vault
from vpc_cni.addons.model import AddonRecord, AddonStatus, Operation, OperationKind
from vpc_cni.addons.store import Store, sqlite_url

VERSION = "v1.16.0-eksbuild.1"
OBJECTS, WRITTEN = 6, 3


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    made = simulate(1, tmp_path)
    yield made
    made.stop()


def ask_for_addon(store: Store) -> None:
    now = time.time()
    addon = AddonRecord("prod", "vpc-cni", "uid", VERSION, AddonStatus.CREATING, now, now)
    store.requests.accept_create(addon, Operation("create", "prod", "vpc-cni", OperationKind.CREATE, VERSION, now))


def state_of(pid: int) -> str:
    """Return the letter of a process's state: T stands still."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_worker_that_wakes_late_writes_nothing_to_the_cluster(simulation: Simulation, tmp_path: Path) -> None:
    url, seal_key = sqlite_url(tmp_path / "store.db"), tmp_path / "seal.key"
    store = Store(url)
    add_simulated(store, open_vault(seal_key), "prod", simulation.ports[0], tmp_path)
    ask_for_addon(store)
    late = FORKS.Process(target=suspended.run, args=(url, seal_key, WRITTEN))
    late.start()
    pid = late.pid
    assert pid is not None
    other = suspended.workers_of(store, seal_key)
    try:
        eventually(lambda: state_of(pid) == "T")
        assert simulation.writes(0) == WRITTEN
        other.start()
        try:
            eventually(lambda: store.addons.get("prod", "vpc-cni").status is AddonStatus.ACTIVE)
        finally:
            other.stop()
        written = simulation.writes(0)
        assert written >= WRITTEN + OBJECTS
        os.kill(pid, signal.SIGCONT)
        late.join(30)
        assert late.exitcode == 0
        assert simulation.writes(0) == written
    finally:
        late.kill()
        late.join()
        store.close()
