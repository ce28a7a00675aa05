"""Exit statuses that scripts rely on are those of the documentation."""

import re
from pathlib import Path

import pytest

from vpc_cni.cli import exit_status
from vpc_cni.errors import (
    CallerError,
    ConfigurationError,
    DeviationError,
    FieldConflictError,
    HostError,
    RefusedError,
    RolloutError,
    RolloutTimeoutError,
    UnknownTypeError,
    VpcCniError,
)

PAGE = Path(__file__).resolve().parents[3] / "docs" / "self-managed.md"


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (HostError("x"), 1, "failed"),
        (CallerError("x"), 2, "wrong usage"),
        (ConfigurationError("x"), 2, "wrong settings"),
        (FieldConflictError("x"), 3, "other field managers"),
        (RefusedError("x"), 4, "refused by a check"),
        (RolloutError("x"), 5, "pods do not start"),
        (RolloutTimeoutError("x"), 6, "deadline"),
        (UnknownTypeError("x"), 7, "not known"),
        (DeviationError("x"), 8, "not as planned"),
    ],
)
def test_each_outcome_has_the_status_of_the_page(error: VpcCniError, status: int, words: str) -> None:
    assert exit_status(error) == status
    (line,) = re.findall(rf"^\| {status} \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert words in line
