"""The state machine, row by row."""

import pytest

from vpc_cni.addons.model import AddonStatus, Issue, IssueCode, OperationKind, UpdateStatus
from vpc_cni.addons.states import STARTED, After, End, after, judge_health, may_delete, may_update

A, U = AddonStatus, UpdateStatus
ISSUE = Issue(IssueCode.K8S_RESOURCE_NOT_FOUND, "gone")


@pytest.mark.parametrize(
    ("status", "update", "delete"),
    [
        (A.CREATING, False, False),
        (A.ACTIVE, True, True),
        (A.CREATE_FAILED, True, True),
        (A.UPDATING, False, False),
        (A.DELETING, False, False),
        (A.DELETE_FAILED, False, True),
        (A.DEGRADED, True, True),
        (A.UPDATE_FAILED, True, True),
    ],
)
def test_a_status_allows_requests(status: AddonStatus, update: bool, delete: bool) -> None:
    assert (may_update(status), may_delete(status)) == (update, delete)


@pytest.mark.parametrize(
    ("kind", "end", "follows"),
    [
        (OperationKind.CREATE, End.DONE, After(A.ACTIVE)),
        (OperationKind.CREATE, End.NOT_READY, After(A.DEGRADED)),
        (OperationKind.CREATE, End.REFUSED, After(A.CREATE_FAILED)),
        (OperationKind.UPDATE, End.DONE, After(A.ACTIVE, U.SUCCESSFUL)),
        (OperationKind.UPDATE, End.NOT_READY, After(A.DEGRADED, U.FAILED)),
        (OperationKind.UPDATE, End.REFUSED, After(A.UPDATE_FAILED, U.FAILED)),
        (OperationKind.DELETE, End.DONE, After(None)),
        (OperationKind.DELETE, End.NOT_READY, After(A.DELETE_FAILED)),
        (OperationKind.DELETE, End.REFUSED, After(A.DELETE_FAILED)),
    ],
)
def test_an_end_leads_to_a_status(kind: OperationKind, end: End, follows: After) -> None:
    assert after(kind, end) == follows


@pytest.mark.parametrize("kind", OperationKind)
def test_nothing_else_is_accepted_while_work_is_under_way(kind: OperationKind) -> None:
    assert not may_update(STARTED[kind])
    assert not may_delete(STARTED[kind])


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("kind", OperationKind)
def test_every_end_leaves_a_way_out(kind: OperationKind, end: End) -> None:
    status = after(kind, end).addon
    assert status is None or may_delete(status)


@pytest.mark.parametrize(
    ("status", "healthy", "unhealthy"),
    [
        (A.ACTIVE, A.ACTIVE, A.DEGRADED),
        (A.DEGRADED, A.ACTIVE, A.DEGRADED),
        *((each, each, each) for each in A if each not in (A.ACTIVE, A.DEGRADED)),
    ],
)
def test_health_moves_between_two_states_only(
    status: AddonStatus, healthy: AddonStatus, unhealthy: AddonStatus
) -> None:
    assert (judge_health(status, ()), judge_health(status, [ISSUE])) == (healthy, unhealthy)
