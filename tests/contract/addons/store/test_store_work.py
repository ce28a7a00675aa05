"""Work by lease: one worker for each operation and cluster, and what its end makes of the records."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from vpc_cni.addons.model import AddonStatus, Association, Issue, IssueCode, OperationKind, UpdateStatus
from vpc_cni.addons.states import End
from vpc_cni.addons.store import AddonBusyError, Lease, LeaseLostError, Look, NoAddonError, NoUpdateError, Store

Make = Callable[..., Any]
CONFLICT = Issue(IssueCode.CONFIGURATION_CONFLICT, "Conflicts found", ("aws-node",))
OVER = -1.0  # a lease of so many seconds is over at once


@pytest.fixture
def created(store: Store, cluster: Make, addon: Make, operation: Make) -> Store:
    """A store in which the creation of one add-on waits for a worker."""
    store.clusters.add(cluster())
    store.requests.accept_create(addon(), operation())
    return store


def claim(store: Store, seconds: float = 60.0) -> Lease:
    lease = store.leases.claim("worker", seconds, unreachable=False)
    assert lease is not None
    return lease


def nothing_to_claim(store: Store) -> bool:
    return store.leases.claim("another", 60.0, unreachable=False) is None


def status_of(store: Store) -> AddonStatus:
    return store.addons.get("prod", "vpc-cni").status


def start_update(store: Store, update: Make, operation: Make, **changes: Any) -> None:
    store.leases.finish(claim(store), End.DONE)
    seen = store.addons.get("prod", "vpc-cni")
    work = operation(OperationKind.UPDATE, update_id="update-1", version="v2", previous_version=seen.version)
    wished = replace(seen, version="v2", configuration_values="{}", role_arn="arn:role", modified_at=3000.0)
    store.requests.accept_update(seen, wished, update(), work, **changes)


def test_work_is_given_out_once(created: Store) -> None:
    assert claim(created).operation.kind is OperationKind.CREATE
    assert nothing_to_claim(created)


def test_work_of_a_killed_worker_is_given_out_again_when_its_lease_is_over(created: Store) -> None:
    first = claim(created, OVER)
    second = claim(created)
    assert second.operation == first.operation
    assert second.number == first.number + 1


def test_a_worker_that_lost_its_lease_writes_nothing(created: Store) -> None:
    late = claim(created, OVER)
    claim(created)
    for write in (
        lambda: created.leases.renew(late, 60.0),
        lambda: created.leases.release(late, 0.0),
        lambda: created.leases.note_changing(late),
        lambda: created.leases.note_applied(late, 60.0),
        lambda: created.leases.note_issues(late, (CONFLICT,)),
        lambda: created.leases.finish(late, End.REFUSED, (CONFLICT,)),
    ):
        with pytest.raises(LeaseLostError):
            write()
    assert (status_of(created), created.addons.get("prod", "vpc-cni").issues) == (AddonStatus.CREATING, ())


def test_a_process_takes_back_its_own_leases_only(created: Store) -> None:
    claim(created)
    created.leases.take_back("another")
    assert nothing_to_claim(created)
    created.leases.take_back("worker")
    assert claim(created).number == 2


def test_renewing_keeps_the_work(created: Store) -> None:
    lease = claim(created, OVER)
    created.leases.renew(lease, 60.0)
    assert nothing_to_claim(created)


def test_work_that_was_given_back_is_not_held_again_by_a_late_renewal(created: Store) -> None:
    lease = claim(created)
    created.leases.release(lease, OVER)
    with pytest.raises(LeaseLostError):
        created.leases.renew(lease, 60.0)
    assert claim(created).number == 2


def test_released_work_comes_back_in_time_and_counts_failures(created: Store) -> None:
    created.leases.release(claim(created), 60.0, failed=True)
    assert nothing_to_claim(created)
    created.leases.take_back("worker")
    assert nothing_to_claim(created), "due later, not leased"


@pytest.mark.parametrize(("failed", "attempts"), [(True, 2), (False, 0)])
def test_attempts_count_failures_in_a_row(created: Store, failed: bool, attempts: int) -> None:
    created.leases.release(claim(created), OVER, failed=True)
    created.leases.release(claim(created), OVER, failed=failed)
    assert claim(created).attempts == attempts


def test_the_deadline_is_set_once(created: Store) -> None:
    lease = claim(created)
    deadline = created.leases.note_applied(lease, 100.0)
    assert created.leases.note_applied(lease, 999.0) == deadline
    created.leases.release(lease, OVER)
    assert claim(created).operation.deadline == deadline


def test_two_addons_of_a_cluster_are_worked_on_one_after_the_other(
    created: Store, addon: Make, operation: Make
) -> None:
    created.requests.accept_create(replace(addon(), name="kube-proxy"), replace(operation(), addon="kube-proxy"))
    first = claim(created)
    assert nothing_to_claim(created)
    created.leases.finish(first, End.DONE)
    assert claim(created).operation.addon != first.operation.addon


def test_unreachable_clusters_are_claimed_apart(created: Store) -> None:
    created.looks.note_contact("prod", reached=False)
    assert nothing_to_claim(created)
    lease = created.leases.claim("worker", OVER, unreachable=True)
    assert lease is not None
    assert lease.unreachable_since > 0
    created.looks.note_contact("prod", reached=True)
    assert claim(created).unreachable_since == 0


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (End.DONE, AddonStatus.ACTIVE),
        (End.NOT_READY, AddonStatus.DEGRADED),
        (End.REFUSED, AddonStatus.CREATE_FAILED),
    ],
)
def test_a_creation_ends(created: Store, end: End, status: AddonStatus) -> None:
    before = created.addons.get("prod", "vpc-cni")
    created.leases.finish(claim(created), end, (CONFLICT,) if end is not End.DONE else ())
    after = created.addons.get("prod", "vpc-cni")
    assert after.status is status
    assert after.issues == (() if end is End.DONE else (CONFLICT,))
    assert after.modified_at > before.modified_at
    assert created.leases.count() == 0


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (End.DONE, (AddonStatus.ACTIVE, UpdateStatus.SUCCESSFUL, ())),
        (End.NOT_READY, (AddonStatus.DEGRADED, UpdateStatus.FAILED, (CONFLICT,))),
        (End.REFUSED, (AddonStatus.UPDATE_FAILED, UpdateStatus.FAILED, (CONFLICT,))),
    ],
)
def test_an_update_ends(created: Store, update: Make, operation: Make, end: End, expected: tuple[Any, ...]) -> None:
    start_update(created, update, operation)
    assert status_of(created) is AddonStatus.UPDATING
    lease = claim(created)
    created.leases.note_changing(lease)
    created.leases.finish(lease, end, expected[2])
    found = created.updates.get("prod", "update-1", "vpc-cni")
    assert (status_of(created), found.status, found.errors) == expected
    assert created.addons.get("prod", "vpc-cni").version == "v2"


def test_an_update_that_changed_nothing_shows_what_was_before(created: Store, update: Make, operation: Make) -> None:
    start_update(created, update, operation)
    assert created.addons.get("prod", "vpc-cni").configuration_values == "{}"
    lease = claim(created)
    assert lease.unchanged
    created.leases.finish(lease, End.REFUSED, (CONFLICT,))
    after = created.addons.get("prod", "vpc-cni")
    assert (after.version, after.configuration_values, after.role_arn) == ("v1.16.2-eksbuild.1", None, None)


def test_an_update_of_which_some_try_wrote_to_the_cluster_shows_what_was_asked_for(
    created: Store, update: Make, operation: Make
) -> None:
    start_update(created, update, operation)
    created.leases.note_changing(claim(created, OVER))
    lease = claim(created)
    assert not lease.unchanged
    created.leases.finish(lease, End.REFUSED, (CONFLICT,))
    after = created.addons.get("prod", "vpc-cni")
    assert (after.version, after.configuration_values) == ("v2", "{}")


def test_no_second_update_while_one_is_under_way(created: Store, update: Make, operation: Make) -> None:
    start_update(created, update, operation)
    seen = created.addons.get("prod", "vpc-cni")
    with pytest.raises(AddonBusyError) as refused:
        created.requests.accept_update(seen, seen, update("update-2"), operation())
    assert refused.value.status is AddonStatus.UPDATING
    with pytest.raises(NoUpdateError):
        created.updates.get("prod", "update-2", "vpc-cni")


@pytest.mark.parametrize("preserve", [False, True])
def test_a_deletion_takes_all_with_it(created: Store, update: Make, operation: Make, preserve: bool) -> None:
    """But for the roles of pods that stay: their associations are nobody's from then on."""
    owner = "arn:aws:eks:eu-west-1:111122223333:addon/prod/vpc-cni/addon-uid"
    owned = Association("a-1", "prod", "kube-system", "aws-node", "arn:role", 1.0, 1.0, owner)
    start_update(created, update, operation, associations=[owned])
    created.leases.finish(claim(created), End.DONE)
    shown = created.requests.accept_delete(operation(OperationKind.DELETE, created_at=4000.0, preserve=preserve))
    assert (shown.status, shown.modified_at) == (AddonStatus.DELETING, 4000.0)
    lease = claim(created)
    assert lease.operation.preserve is preserve
    created.leases.finish(lease, End.DONE)
    with pytest.raises(NoAddonError):
        created.addons.get("prod", "vpc-cni")
    with pytest.raises(NoUpdateError):
        created.updates.get("prod", "update-1", "vpc-cni")
    assert created.associations.find("prod").items == ((replace(owned, owner=""),) if preserve else ())


def test_a_repeated_deletion_is_answered_and_a_different_one_refused(created: Store, operation: Make) -> None:
    created.leases.finish(claim(created), End.DONE)
    first = created.requests.accept_delete(operation(OperationKind.DELETE, preserve=True))
    assert created.requests.accept_delete(operation(OperationKind.DELETE, preserve=True)) == first
    with pytest.raises(AddonBusyError):
        created.requests.accept_delete(operation(OperationKind.DELETE))
    assert created.leases.count() == 1


def test_a_failed_deletion_can_be_asked_for_again(created: Store, operation: Make) -> None:
    created.leases.finish(claim(created), End.DONE)
    created.requests.accept_delete(operation(OperationKind.DELETE))
    created.leases.finish(claim(created), End.REFUSED, (CONFLICT,))
    assert status_of(created) is AddonStatus.DELETE_FAILED
    assert created.requests.accept_delete(operation(OperationKind.DELETE)).status is AddonStatus.DELETING


def test_work_of_many_is_done_once_each(store: Store, cluster: Make, addon: Make, operation: Make) -> None:
    names = [f"c-{number:02}" for number in range(24)]
    for name in names:
        store.clusters.add(cluster(name))
        store.requests.accept_create(addon(name), operation(cluster=name))
    taken: list[str] = []

    def work(worker: str) -> None:
        while (lease := store.leases.claim(worker, 60.0, unreachable=False)) is not None:
            taken.append(lease.operation.cluster)
            store.leases.finish(lease, End.DONE)

    threads = [threading.Thread(target=work, args=(f"worker-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # On PostgreSQL a worker may see nothing while others have locked all it could take.
    work("last")
    assert sorted(taken) == names


def test_requests_at_the_same_time_leave_one_update(created: Store, update: Make, operation: Make) -> None:
    created.leases.finish(claim(created), End.DONE)
    seen, answers = created.addons.get("prod", "vpc-cni"), []

    def ask(number: int) -> None:
        try:
            work = operation(OperationKind.UPDATE, update_id=f"u-{number}")
            created.requests.accept_update(seen, replace(seen, version=f"v{number}"), update(f"u-{number}"), work)
            answers.append("accepted")
        except AddonBusyError:
            answers.append("busy")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["accepted", *["busy"] * 7]
    assert len(created.updates.list_ids("prod", "vpc-cni").items) == 1


def test_a_settled_addon_is_looked_at_once_in_a_while(created: Store) -> None:
    assert created.looks.claim(9, 30.0, unreachable=False) == (), "it is being created"
    created.leases.finish(claim(created), End.DONE)
    (look,) = created.looks.claim(9, 30.0, unreachable=False)
    assert look.addon.status is AddonStatus.ACTIVE
    assert created.looks.claim(9, 30.0, unreachable=False) == ()
    created.looks.put_off(look, OVER)
    assert len(created.looks.claim(9, 30.0, unreachable=False)) == 1


def test_health_moves_between_active_and_degraded(created: Store) -> None:
    created.leases.finish(claim(created), End.DONE)
    (look,) = created.looks.claim(9, OVER, unreachable=False)
    assert created.looks.note_health(look, (CONFLICT,))
    assert status_of(created) is AddonStatus.DEGRADED
    (look,) = created.looks.claim(9, OVER, unreachable=False)
    assert not created.looks.note_health(look, (CONFLICT,)), "nothing new"
    assert created.looks.note_health(look, ())
    after = created.addons.get("prod", "vpc-cni")
    assert (after.status, after.issues) == (AddonStatus.ACTIVE, ())


def test_looks_remember_since_when_an_addon_is_unhealthy(created: Store) -> None:
    def look() -> Look:
        (found,) = created.looks.claim(9, OVER, unreachable=False)
        return found

    created.leases.finish(claim(created), End.DONE)
    first = look()
    assert first.unhealthy_since == 0
    created.looks.note_unhealthy(first, OVER)
    second = look()
    assert second.unhealthy_since == first.at
    created.looks.note_unhealthy(second, OVER)
    third = look()
    assert third.unhealthy_since == first.at
    assert not created.looks.note_health(third, ()), "nothing that is shown"
    assert look().unhealthy_since == 0


def test_a_look_that_ends_after_an_update_does_not_put_off_the_next(
    created: Store, update: Make, operation: Make
) -> None:
    created.leases.finish(claim(created), End.DONE)
    (look,) = created.looks.claim(9, 30.0, unreachable=False)
    seen = created.addons.get("prod", "vpc-cni")
    work = operation(OperationKind.UPDATE, update_id="update-1")
    created.requests.accept_update(seen, replace(seen, modified_at=3000.0), update(), work)
    created.leases.finish(claim(created), End.NOT_READY, (CONFLICT,))
    created.looks.put_off(look, 300.0)
    created.looks.note_unhealthy(look, 300.0)
    (due,) = created.looks.claim(9, 30.0, unreachable=False)
    assert (due.addon.status, due.unhealthy_since) == (AddonStatus.DEGRADED, 0)


def test_a_look_changes_nothing_when_a_request_came_meanwhile(created: Store, operation: Make) -> None:
    created.leases.finish(claim(created), End.DONE)
    (look,) = created.looks.claim(9, OVER, unreachable=False)
    created.requests.accept_delete(operation(OperationKind.DELETE))
    assert not created.looks.note_health(look, (CONFLICT,))
    assert status_of(created) is AddonStatus.DELETING
