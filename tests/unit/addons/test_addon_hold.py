"""When a worker may write to a cluster: time of its own machine against the lease in the store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vpc_cni.addons.model import AddonRecord, AddonStatus, ClusterRecord, Operation, OperationKind
from vpc_cni.addons.states import End
from vpc_cni.addons.store import LeaseLostError, Store, sqlite_url
from vpc_cni.addons.work.hold import Hold
from vpc_cni.addons.work.settings import WorkSettings
from vpc_cni.cluster.login import LONGEST_REQUEST_SECONDS

SETTINGS = WorkSettings()


class Clocks:
    """The store's clock, which every worker's machine shows as well until it stands still."""

    def __init__(self, file: Path) -> None:
        self.now = 1000.0
        self.store_delay = 0.0
        self.store = Store(sqlite_url(file), clock=self._store_time)
        self.store.clusters.add(ClusterRecord("prod", "u", "1.29", "https://x", "", 1.0))
        addon = AddonRecord("prod", "vpc-cni", "uid", "v1", AddonStatus.CREATING, 1.0, 1.0)
        work = Operation("create", "prod", "vpc-cni", OperationKind.CREATE, "v1", 1.0)
        self.store.requests.accept_create(addon, work)

    def claim(self, holder: str = "one") -> Hold:
        asked_at = self.now
        lease = self.store.leases.claim(holder, SETTINGS.lease, unreachable=False)
        assert lease is not None
        return Hold(self.store, lease, SETTINGS, asked_at, lambda: self.now)

    def is_held(self) -> bool:
        return self.store.leases.claim("nosy", SETTINGS.lease, unreachable=False) is None

    def _store_time(self) -> float:
        self.now += self.store_delay
        return self.now


@pytest.fixture
def clocks(tmp_path: Path) -> Iterator[Clocks]:
    made = Clocks(tmp_path / "store.db")
    yield made
    made.store.close()


def test_the_margin_is_longer_than_a_request_and_renewals_keep_it() -> None:
    assert LONGEST_REQUEST_SECONDS < SETTINGS.write_margin < SETTINGS.lease * 2 / 3


def test_a_fresh_lease_allows_writes_without_asking_the_store(clocks: Clocks) -> None:
    hold = clocks.claim()
    clocks.now += SETTINGS.lease - SETTINGS.write_margin - 0.1
    clocks.store_delay = SETTINGS.lease
    hold.before_write()


def test_a_worker_that_stood_still_and_was_replaced_writes_nothing(clocks: Clocks) -> None:
    late = clocks.claim()
    clocks.now += SETTINGS.lease + 1.0
    clocks.claim("two")
    with pytest.raises(LeaseLostError):
        late.before_write()


def test_a_worker_that_stood_still_while_its_work_was_ended_writes_nothing(clocks: Clocks) -> None:
    late = clocks.claim()
    clocks.now += SETTINGS.lease + 1.0
    clocks.store.leases.finish(clocks.claim("two").lease, End.DONE)
    with pytest.raises(LeaseLostError):
        late.before_write()


def test_a_worker_that_stood_still_unnoticed_takes_its_lease_again_before_it_writes(clocks: Clocks) -> None:
    hold = clocks.claim()
    clocks.now += SETTINGS.lease * 10
    hold.before_write()
    assert clocks.is_held()


def test_what_is_left_of_a_lease_is_counted_from_before_it_was_asked_for(clocks: Clocks) -> None:
    """A store that takes long to renew leaves too little: the worker does not write."""
    hold = clocks.claim()
    clocks.now += SETTINGS.lease
    clocks.store_delay = SETTINGS.lease - SETTINGS.write_margin
    with pytest.raises(LeaseLostError):
        hold.before_write()


def test_renewals_keep_writes_from_asking(clocks: Clocks) -> None:
    hold = clocks.claim()
    for _ in range(5):
        clocks.now += SETTINGS.lease / 3
        hold.renew()
    clocks.store_delay = SETTINGS.lease
    hold.before_write()
