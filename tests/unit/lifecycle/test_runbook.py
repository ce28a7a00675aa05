"""The runbook has every code and status, each with cause, check and remedy."""

import re
from pathlib import Path

import pytest

from vpc_cni.addons import errors
from vpc_cni.addons.model import IssueCode
from vpc_cni.cli.exit_statuses import EXIT_STATUSES

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "runbook.md").read_text()
CELLS = 4


def rows(title: str) -> dict[str, list[str]]:
    """Return the rows of a section's table by their first cell."""
    section = TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (.*) \|$", section.replace("| | |", "|  |  |"), re.MULTILINE)[1:]
    found = ([cell.strip() for cell in line.split("|")] for line in lines)
    return {cells[0].strip("`"): cells for cells in found}


def exceptions() -> set[str]:
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    return {each.code for each in classes if issubclass(each, errors.ApiError) and each is not errors.ApiError}


def test_every_exit_status_is_there() -> None:
    assert list(rows("By exit status")) == [str(each.number) for each in EXIT_STATUSES]


def test_every_issue_code_is_there() -> None:
    assert set(rows("By code of an issue or an update's error")) == {*map(str, IssueCode), "Unknown"}


def test_every_exception_is_there() -> None:
    assert set(rows("By exception of the API")) == exceptions()
    assert len(exceptions()) > 10


@pytest.mark.parametrize(
    "title", ["By exit status", "By code of an issue or an update's error", "By exception of the API"]
)
def test_each_has_cause_check_and_remedy(title: str) -> None:
    incomplete = [name for name, cells in rows(title).items() if len(cells) != CELLS or not all(cells)]
    assert incomplete in ([], ["0"])
