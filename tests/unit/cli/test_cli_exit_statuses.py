"""Exit statuses that scripts rely on are those of the documentation."""

import re
from pathlib import Path

import pytest

from vpc_cni.cli.exit_statuses import EXIT_STATUSES, exit_status
from vpc_cni.errors import (
    AccessDeniedError,
    CallerError,
    ConfigurationError,
    DeviationError,
    FieldConflictError,
    HostError,
    KubernetesConflictError,
    KubernetesDeniedError,
    LifecycleError,
    OperationFailedError,
    RefusedError,
    RolloutError,
    RolloutTimeoutError,
    UnknownTypeError,
    VpcCniError,
)

PAGE = Path(__file__).resolve().parents[3] / "docs" / "self-managed.md"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (HostError("x"), 1),
        (KubernetesDeniedError("x", status=403), 1),
        (KubernetesConflictError("x", status=409), 1),
        (AccessDeniedError("x", operation="DescribeAddon"), 1),
        (CallerError("x"), 2),
        (ConfigurationError("x"), 2),
        (FieldConflictError("x"), 3),
        (RefusedError("x"), 4),
        (RolloutError("x"), 5),
        (RolloutTimeoutError("x"), 6),
        (UnknownTypeError("x"), 7),
        (DeviationError("x"), 8),
        (OperationFailedError("x"), 9),
    ],
)
def test_each_error_ends_with_its_status(error: VpcCniError, status: int) -> None:
    assert exit_status(error) == status


def test_the_table_of_the_page_is_the_table_of_the_command_line() -> None:
    section = PAGE.read_text().partition("## Exit status")[2]
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", section, re.MULTILINE)
    assert rows == [(str(row.number), row.meaning) for row in EXIT_STATUSES]


def test_numbers_ascend_without_a_gap_and_no_error_has_two() -> None:
    assert [row.number for row in EXIT_STATUSES] == list(range(len(EXIT_STATUSES)))
    errors = [error for row in EXIT_STATUSES for error in row.errors]
    assert len(set(errors)) == len(errors)


def test_every_outcome_of_a_change_is_told_apart() -> None:
    kinds = LifecycleError.__subclasses__()
    assert len(kinds) >= 6
    assert len({exit_status(kind("x")) for kind in kinds}) == len(kinds)
