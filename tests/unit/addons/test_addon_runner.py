"""Tries of operations and looks at health, on a cluster that behaves and time that stands still until told."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from vpc_cni.addons.model import (
    AddonRecord,
    AddonStatus,
    Applied,
    ClusterRecord,
    ConflictMode,
    Desired,
    Health,
    Issue,
    IssueCode,
    Operation,
    OperationKind,
    UpdateRecord,
    UpdateStatus,
)
from vpc_cni.addons.store import NoAddonError, Store, sqlite_url
from vpc_cni.addons.work.hold import Hold
from vpc_cni.addons.work.ports import Clusters
from vpc_cni.addons.work.runner import Runner
from vpc_cni.addons.work.settings import WorkSettings
from vpc_cni.addons.work.watcher import Watcher
from vpc_cni.errors import (
    KubernetesDeniedError,
    KubernetesError,
    KubernetesThrottledError,
    KubernetesUnreachableError,
    VpcCniError,
)

CONFLICT = Issue(IssueCode.CONFIGURATION_CONFLICT, "Conflicts found")
SETTINGS = WorkSettings(update_deadline=100.0, degraded_after=20.0, unreachable_after=60.0, look_every=30.0)


@dataclass
class FakeCluster:
    """Holds a version, and pods that are ready or not.

    ``failure`` is what each call raises, ``failure_in_the_middle`` what an installation does when it has begun,
    ``failure_of_looks`` what only looks do.
    """

    installed: str = ""
    ready: bool = True
    conflict: bool = False
    before_write: Callable[[], None] = lambda: None
    failure: Exception | None = None
    failure_in_the_middle: Exception | None = None
    failure_of_looks: Exception | None = None
    installs: list[str] = field(default_factory=list)


class FakeEngine:
    """Does to fake clusters what an engine does to real ones."""

    def install(self, cluster: FakeCluster, desired: Desired, mode: ConflictMode, previous: str) -> Applied:
        self._fail(cluster)
        assert previous in (cluster.installed, "")
        if cluster.conflict and mode is ConflictMode.NONE:
            return Applied((CONFLICT,))
        cluster.before_write()
        if cluster.failure_in_the_middle is not None:
            raise cluster.failure_in_the_middle
        cluster.installed = desired.version
        cluster.installs.append(desired.version)
        return Applied()

    def remove(self, cluster: FakeCluster, version: str, *, preserve: bool) -> Applied:
        self._fail(cluster)
        assert version == cluster.installed
        cluster.installed = cluster.installed if preserve else ""
        return Applied()

    def observe(self, cluster: FakeCluster, desired: Desired) -> Health:
        self._fail(cluster)
        if cluster.failure_of_looks is not None:
            raise cluster.failure_of_looks
        return Health(cluster.ready and desired.version == cluster.installed)

    def _fail(self, cluster: FakeCluster) -> None:
        if cluster.failure is not None:
            raise cluster.failure


class Scene:
    """One cluster with a store, and workers whose turn the test gives."""

    def __init__(self, file: Path) -> None:
        self.now = 1000.0
        self.store = Store(sqlite_url(file), clock=lambda: self.now)
        self.cluster = FakeCluster()
        self.store.clusters.add(ClusterRecord("prod", "u", "1.29", "https://x", "", 1.0))
        clusters = Clusters(self, FakeEngine())
        chance = random.Random(3)  # noqa: S311
        self._runner = Runner(self.store, clusters, SETTINGS, chance=chance, clock=lambda: self.now)
        self._new_watcher = lambda: Watcher(self.store, clusters, SETTINGS, chance)
        self._watcher = self._new_watcher()

    def open(self, _name: str, before_write: Callable[[], None]) -> FakeCluster:
        self.cluster.before_write = before_write
        return self.cluster

    def create(self) -> None:
        addon = AddonRecord("prod", "vpc-cni", "uid", "v1", AddonStatus.CREATING, self.now, self.now)
        work = Operation("create", "prod", "vpc-cni", OperationKind.CREATE, "v1", self.now)
        self.store.requests.accept_create(addon, work)

    def update(self) -> None:
        seen = self.addon
        update = UpdateRecord("u-1", "prod", "vpc-cni", "AddonUpdate", UpdateStatus.IN_PROGRESS, self.now)
        work = Operation("update", "prod", "vpc-cni", OperationKind.UPDATE, "v2", self.now, "v1", update_id="u-1")
        self.store.requests.accept_update(seen, replace(seen, version="v2", modified_at=self.now), update, work)

    def delete(self, *, preserve: bool) -> None:
        work = Operation("delete", "prod", "vpc-cni", OperationKind.DELETE, "v1", self.now, preserve=preserve)
        self.store.requests.accept_delete(work)

    def work(self) -> bool:
        """Give the workers one turn; tell whether there was anything to do."""
        for unreachable in (False, True):
            lease = self.store.leases.claim("w", SETTINGS.lease, unreachable=unreachable)
            if lease is not None:
                hold = Hold(self.store, lease, SETTINGS, self.now, lambda: self.now)
                self._runner.run(lease, hold.before_write)
                return True
        return False

    def settle(self) -> None:
        self.create()
        assert self.work()
        assert self.addon.status is AddonStatus.ACTIVE

    def look(self) -> bool:
        for unreachable in (False, True):
            for each in self.store.looks.claim(1, SETTINGS.look_every, unreachable=unreachable):
                self._watcher.look(each)
                return True
        return False

    def restart(self) -> None:
        """Forget all that is not in the store."""
        self._watcher = self._new_watcher()

    def look_for(self, seconds: float) -> None:
        """Let time go by in steps of a second, with a look whenever one is due."""
        for _ in range(int(seconds)):
            self.now += 1.0
            self.look()

    @property
    def addon(self) -> AddonRecord:
        return self.store.addons.get("prod", "vpc-cni")

    @property
    def codes(self) -> list[IssueCode]:
        return [each.code for each in self.addon.issues]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "store.db")
    yield made
    made.store.close()


def test_a_creation_is_done_when_the_pods_are_ready(scene: Scene) -> None:
    scene.cluster.ready = False
    scene.create()
    assert scene.work()
    assert (scene.addon.status, scene.cluster.installed) == (AddonStatus.CREATING, "v1")
    assert not scene.work(), "the next look is due later"
    scene.now += 1.1
    assert scene.work()
    scene.cluster.ready = True
    scene.now += 1.1
    assert scene.work()
    assert scene.addon.status is AddonStatus.ACTIVE
    assert scene.cluster.installs == ["v1"], "looks do not install again"


def test_pods_that_are_late_leave_a_degraded_addon_and_a_failed_update(scene: Scene) -> None:
    scene.settle()
    scene.cluster.ready = False
    scene.update()
    for _ in range(101):
        scene.work()
        scene.now += 1.0
    update = scene.store.updates.get("prod", "u-1", "vpc-cni")
    assert (scene.addon.status, update.status) == (AddonStatus.DEGRADED, UpdateStatus.FAILED)
    assert (scene.addon.version, scene.codes) == ("v2", [IssueCode.INSUFFICIENT_NUMBER_OF_REPLICAS])


def test_a_conflict_fails_the_update_and_shows_the_version_that_runs(scene: Scene) -> None:
    scene.settle()
    scene.cluster.conflict = True
    scene.update()
    scene.work()
    assert (scene.addon.status, scene.addon.version) == (AddonStatus.UPDATE_FAILED, "v1")
    assert scene.store.updates.get("prod", "u-1", "vpc-cni").errors == (CONFLICT,)


def test_a_conflict_after_a_try_that_wrote_shows_what_was_asked_for(scene: Scene) -> None:
    """Some objects are of the new version by then: the old one is not what runs."""
    scene.settle()
    scene.update()
    scene.cluster.failure_in_the_middle = KubernetesThrottledError("slow down", status=429)
    scene.work()
    scene.cluster.conflict = True
    scene.now += 2.0
    scene.work()
    assert (scene.addon.status, scene.addon.version) == (AddonStatus.UPDATE_FAILED, "v2")


def test_a_conflict_after_tries_that_wrote_nothing_shows_the_version_that_runs(scene: Scene) -> None:
    scene.settle()
    scene.update()
    scene.cluster.failure = KubernetesUnreachableError("away")
    scene.work()
    scene.cluster.failure, scene.cluster.conflict = None, True
    scene.now += 2.0
    scene.work()
    assert (scene.addon.status, scene.addon.version) == (AddonStatus.UPDATE_FAILED, "v1")


def test_a_failure_of_ours_during_a_roll_out_leaves_an_addon_that_can_recover(scene: Scene) -> None:
    scene.settle()
    scene.cluster.ready = False
    scene.update()
    scene.work()
    scene.cluster.failure = ZeroDivisionError("a bug")
    for _ in range(60):
        scene.now += 1.0
        scene.work()
    update = scene.store.updates.get("prod", "u-1", "vpc-cni")
    assert (scene.addon.status, scene.addon.version) == (AddonStatus.DEGRADED, "v2")
    assert (update.status, scene.codes) == (UpdateStatus.FAILED, [IssueCode.INTERNAL_FAILURE])
    scene.cluster.failure, scene.cluster.ready = None, True
    scene.look_for(40)
    assert (scene.addon.status, scene.codes) == (AddonStatus.ACTIVE, [])


@pytest.mark.parametrize(("preserve", "left"), [(True, "v1"), (False, "")])
def test_a_deletion_takes_the_record_and_preserves_objects_when_told(scene: Scene, preserve: bool, left: str) -> None:
    scene.settle()
    scene.delete(preserve=preserve)
    scene.work()
    assert scene.cluster.installed == left
    with pytest.raises(NoAddonError):
        _ = scene.addon


def test_a_denied_creation_fails_with_the_words_of_the_cluster(scene: Scene) -> None:
    scene.cluster.failure = KubernetesDeniedError('User "eks:addon-manager" cannot patch', status=403)
    scene.create()
    scene.work()
    assert (scene.addon.status, scene.codes) == (AddonStatus.CREATE_FAILED, [IssueCode.ACCESS_DENIED])
    assert "eks:addon-manager" in scene.addon.issues[0].message


def test_an_unreachable_cluster_is_tried_again_and_work_goes_on_when_it_comes_back(scene: Scene) -> None:
    scene.cluster.failure = KubernetesUnreachableError("away")
    scene.create()
    tries = 0
    for _ in range(90):
        scene.now += 1.0
        tries += scene.work()
    assert 4 <= tries <= 12, "with growing waits"
    assert (scene.addon.status, scene.codes) == (AddonStatus.CREATING, [IssueCode.CLUSTER_UNREACHABLE])
    scene.cluster.failure = None
    scene.now += 61.0
    assert scene.work() or scene.work()


def test_a_cluster_that_stays_unreachable_fails_the_operation_at_its_deadline(scene: Scene) -> None:
    scene.settle()
    scene.cluster.failure = KubernetesUnreachableError("away")
    scene.update()
    for _ in range(240):
        scene.now += 1.0
        scene.work()
    assert (scene.addon.status, scene.codes) == (AddonStatus.UPDATE_FAILED, [IssueCode.CLUSTER_UNREACHABLE])
    assert scene.store.leases.count() == 0


def test_an_issue_of_the_way_to_a_cluster_goes_when_it_is_reached(scene: Scene) -> None:
    """The roll-out may take long from then on."""
    scene.cluster.failure = KubernetesUnreachableError("away")
    scene.create()
    for _ in range(90):
        scene.now += 1.0
        scene.work()
    assert scene.codes == [IssueCode.CLUSTER_UNREACHABLE]
    scene.cluster.failure, scene.cluster.ready = None, False
    scene.now += 61.0
    assert scene.work()
    assert (scene.addon.status, scene.codes) == (AddonStatus.CREATING, [])


def test_what_waited_for_long_has_its_whole_time_once_it_is_applied(scene: Scene) -> None:
    """Such as while no service ran: a look that fails right after the apply is only a look that failed."""
    scene.create()
    scene.now += SETTINGS.update_deadline * 10
    scene.cluster.failure_of_looks = KubernetesThrottledError("slow down", status=429)
    assert scene.work()
    assert scene.addon.status is AddonStatus.CREATING
    scene.cluster.failure_of_looks = None
    scene.now += 2.0
    assert scene.work()
    assert scene.addon.status is AddonStatus.ACTIVE


def test_a_deletion_that_cannot_end_says_what_keeps_it(scene: Scene) -> None:
    scene.settle()
    scene.cluster.failure = KubernetesError("still being deleted: DaemonSet aws-node", retryable=True)
    scene.delete(preserve=False)
    for _ in range(240):
        scene.now += 1.0
        scene.work()
    assert scene.addon.status is AddonStatus.DELETE_FAILED
    assert "still being deleted: DaemonSet aws-node" in scene.addon.issues[0].message


def test_a_throttled_try_is_repeated_and_the_cluster_stays_known_as_reachable(scene: Scene) -> None:
    scene.cluster.failure = KubernetesThrottledError("slow down", status=429)
    scene.create()
    scene.work()
    scene.cluster.failure = None
    scene.now += 2.0
    assert scene.store.leases.claim("w", 0.0, unreachable=True) is None
    scene.work()
    assert scene.addon.status is AddonStatus.ACTIVE


@pytest.mark.parametrize("failure", [VpcCniError("a setting of ours"), ZeroDivisionError("a bug")])
def test_a_failure_of_ours_ends_in_words_after_some_tries(scene: Scene, failure: Exception) -> None:
    scene.cluster.failure = failure
    scene.create()
    tries = 0
    for _ in range(200):
        scene.now += 1.0
        tries += scene.work()
    assert (tries, scene.addon.status) == (5, AddonStatus.CREATE_FAILED)
    assert scene.codes == [IssueCode.INTERNAL_FAILURE]
    assert "bug" not in scene.addon.issues[0].message


def test_an_addon_is_degraded_only_when_it_stays_unhealthy_and_recovers_at_once(scene: Scene) -> None:
    scene.settle()
    scene.cluster.ready = False
    scene.look_for(15)
    assert scene.addon.status is AddonStatus.ACTIVE
    scene.look_for(30)
    assert (scene.addon.status, scene.codes) == (AddonStatus.DEGRADED, [IssueCode.INSUFFICIENT_NUMBER_OF_REPLICAS])
    scene.cluster.ready = True
    scene.look_for(40)
    assert (scene.addon.status, scene.codes) == (AddonStatus.ACTIVE, [])


def test_a_restart_does_not_begin_the_wait_for_health_anew(scene: Scene) -> None:
    scene.settle()
    scene.cluster.ready = False
    for _ in range(11):
        scene.look_for(5)
        scene.restart()
    assert scene.addon.status is AddonStatus.DEGRADED


def test_after_an_update_pods_have_the_whole_wait_again(scene: Scene) -> None:
    scene.settle()
    scene.cluster.ready = False
    scene.look_for(15)
    scene.cluster.ready = True
    scene.update()
    assert scene.work()
    scene.cluster.ready = False
    scene.now += 10.0
    scene.look_for(15)
    assert scene.addon.status is AddonStatus.ACTIVE
    scene.look_for(10)
    assert scene.addon.status is AddonStatus.DEGRADED


def test_a_short_absence_of_pods_is_not_told(scene: Scene) -> None:
    scene.settle()
    for _ in range(4):
        scene.cluster.ready = False
        scene.look_for(15)
        scene.cluster.ready = True
        scene.look_for(40)
    assert scene.addon.status is AddonStatus.ACTIVE


def test_an_unreachable_cluster_degrades_its_addon_after_a_while(scene: Scene) -> None:
    scene.settle()
    scene.cluster.failure = KubernetesUnreachableError("away")
    scene.look_for(60)
    assert scene.addon.status is AddonStatus.ACTIVE
    scene.look_for(120)
    assert (scene.addon.status, scene.codes) == (AddonStatus.DEGRADED, [IssueCode.CLUSTER_UNREACHABLE])
    scene.cluster.failure = None
    scene.look_for(300)
    assert (scene.addon.status, scene.codes) == (AddonStatus.ACTIVE, [])


def test_a_cluster_that_answers_again_counts_as_reached_whatever_it_answers(scene: Scene) -> None:
    scene.settle()
    scene.cluster.failure = KubernetesUnreachableError("away")
    scene.look_for(60)
    assert scene.store.overview().unreachable == 1
    scene.cluster.failure = KubernetesDeniedError("no rights", status=403)
    scene.look_for(120)
    assert scene.store.overview().unreachable == 0
    assert (scene.addon.status, scene.codes) == (AddonStatus.DEGRADED, [IssueCode.ACCESS_DENIED])


def test_an_api_server_that_only_fails_is_as_good_as_none(scene: Scene) -> None:
    """Its database may be away: nobody knows how the add-on is."""
    scene.settle()
    scene.cluster.failure = KubernetesError("etcdserver: request timed out", status=500, retryable=True)
    scene.look_for(300)
    assert (scene.addon.status, scene.codes) == (AddonStatus.DEGRADED, [IssueCode.CLUSTER_UNREACHABLE])
    scene.cluster.failure = None
    scene.look_for(300)
    assert (scene.addon.status, scene.store.overview().unreachable) == (AddonStatus.ACTIVE, 0)


def test_looks_at_an_unreachable_cluster_grow_rare(scene: Scene) -> None:
    scene.settle()
    scene.cluster.failure = KubernetesUnreachableError("away")

    def looks() -> int:
        found = 0
        for _ in range(600):
            scene.now += 1.0
            found += scene.look()
        return found

    first, second = looks(), looks()
    assert second < first <= 20
    assert second >= 2
