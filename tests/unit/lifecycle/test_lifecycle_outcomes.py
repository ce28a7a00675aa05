"""How a change ended: a failed update and a degraded add-on are told apart, and a conflict from both."""

from typing import Any

import pytest

from vpc_cni.cli.exit_statuses import exit_status
from vpc_cni.lifecycle.outcomes import (
    ConflictLine,
    End,
    Judgement,
    error_of,
    judge_creation,
    judge_deletion,
    judge_update,
    parse_conflicts,
)
from vpc_cni.lifecycle.records import Issue, ManagedAddon, Update

SLOW = Issue("InsufficientNumberOfReplicas", "The add-on is unhealthy because it doesn't have the desired replicas.")
DENIED = Issue("AccessDenied", 'namespaces "kube-system" is forbidden')
CONFLICT = Issue(
    "ConfigurationConflict",
    "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. Conflicts:\n"
    'DaemonSet.apps aws-node - .spec.template.spec.containers[name="aws-node"].env[name="A B"].value\n'
    "ConfigMap amazon-vpc-cni - .data.enable-windows-ipam\n"
    "ConfigMap amazon-vpc-cni - .data.enable-windows-ipam\n"
    "CustomResourceDefinition.apiextensions.k8s.io eniconfigs.crd.k8s.amazonaws.com - .spec.versions",
)


def update(status: str, *errors: Issue) -> Update:
    return Update("u", status, "AddonUpdate", (), errors)


def addon(status: str, *issues: Issue) -> ManagedAddon:
    return ManagedAddon("v1.16.2-eksbuild.1", status, issues)


@pytest.mark.parametrize(
    ("seen", "current", "end"),
    [
        (update("InProgress"), addon("UPDATING"), End.UNDER_WAY),
        (update("Successful"), addon("UPDATING"), End.UNDER_WAY),
        (update("Successful"), addon("ACTIVE"), End.DONE),
        (update("Successful"), addon("DEGRADED", SLOW), End.DEGRADED),
        (update("Failed", SLOW), addon("DEGRADED", SLOW), End.DEGRADED),
        (update("Failed", SLOW), addon("ACTIVE"), End.DONE),
        (update("Failed", DENIED), addon("ACTIVE"), End.FAILED),
        (update("Failed", SLOW, DENIED), addon("ACTIVE"), End.FAILED),
        (update("Failed"), addon("ACTIVE"), End.FAILED),
        (update("Failed", CONFLICT), addon("ACTIVE"), End.CONFLICT),
        (update("Cancelled"), addon("ACTIVE"), End.FAILED),
        (update("Failed", CONFLICT), addon("UPDATE_FAILED", CONFLICT), End.CONFLICT),
        (update("Failed", CONFLICT), addon("DEGRADED", CONFLICT), End.CONFLICT),
        (update("Failed", DENIED), addon("UPDATE_FAILED", DENIED), End.FAILED),
        (update("Cancelled"), addon("UPDATE_FAILED"), End.FAILED),
    ],
)
def test_an_update(seen: Update, current: ManagedAddon, end: End) -> None:
    assert judge_update(seen, current).end is end


@pytest.mark.parametrize(
    ("current", "end"),
    [
        (addon("CREATING"), End.UNDER_WAY),
        (addon("ACTIVE"), End.DONE),
        (addon("DEGRADED", SLOW), End.DEGRADED),
        (addon("CREATE_FAILED", CONFLICT), End.CONFLICT),
        (addon("CREATE_FAILED", DENIED), End.FAILED),
        (None, End.FAILED),
    ],
)
def test_a_creation(current: ManagedAddon | None, end: End) -> None:
    assert judge_creation(current).end is end


@pytest.mark.parametrize(
    ("current", "end"),
    [
        (None, End.DONE),
        (addon("DELETING"), End.UNDER_WAY),
        (addon("ACTIVE"), End.UNDER_WAY),
        (addon("DELETE_FAILED", DENIED), End.FAILED),
    ],
)
def test_a_deletion(current: ManagedAddon | None, end: End) -> None:
    assert judge_deletion(current).end is end


def test_fields_of_a_conflict_are_read_from_the_message_once_each() -> None:
    assert parse_conflicts([CONFLICT, DENIED]) == (
        ConflictLine(
            "apps", "DaemonSet", "aws-node", '.spec.template.spec.containers[name="aws-node"].env[name="A B"].value'
        ),
        ConflictLine("", "ConfigMap", "amazon-vpc-cni", ".data.enable-windows-ipam"),
        ConflictLine(
            "apiextensions.k8s.io", "CustomResourceDefinition", "eniconfigs.crd.k8s.amazonaws.com", ".spec.versions"
        ),
    )


@pytest.mark.parametrize(
    ("end", "status"),
    [(End.CONFLICT, 3), (End.FAILED, 9), (End.DEGRADED, 5), (End.UNDER_WAY, 6)],
)
def test_each_end_has_its_exit_status_and_says_why(end: End, status: int) -> None:
    error: Any = error_of(Judgement(end, (SLOW,)), "the update", seconds=10)
    assert exit_status(error) == status
    assert SLOW.message in error.message
    assert error.hint


def test_what_is_done_is_no_error() -> None:
    assert error_of(Judgement(End.DONE), "the update", seconds=10) is None
