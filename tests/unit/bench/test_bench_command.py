"""Options of the command, and that every figure has a measurement."""

import re

import pytest
from typer.testing import CliRunner

from bench.command import app, choose_sizes, split_names
from bench.figures import BY_NAME
from bench.plan import PAIRED, SOLO
from bench.rounds import PRESENT, QUICK, Sizes
from bench.worlds import ADDRESSES


@pytest.mark.parametrize(
    ("words", "expected"),
    [([], []), (["a", "b"], ["a", "b"]), (["a,b", "c d"], ["a", "b", "c", "d"])],
)
def test_names_come_one_by_one_or_in_lists(words: list[str], expected: list[str]) -> None:
    assert split_names(words) == expected


def test_quick_measures_less_and_rounds_can_be_chosen() -> None:
    assert choose_sizes(True, None) == QUICK
    assert QUICK.rounds < Sizes().rounds
    assert choose_sizes(False, 9).rounds == 9
    assert choose_sizes(True, 3).calls == QUICK.calls


@pytest.mark.parametrize("sizes", [Sizes(), QUICK])
def test_loaded_rounds_fit_the_node(sizes: Sizes) -> None:
    assert PRESENT + sizes.loaded_calls <= ADDRESSES


def test_unknown_figure_ends_with_status_2_and_says_which_are_known() -> None:
    result = CliRunner().invoke(app, ["--only", "nonsense"])
    assert result.exit_code == 2
    assert "churn_w8" in re.sub(r"\s", "", result.output)


def test_rounds_below_one_are_refused() -> None:
    assert CliRunner().invoke(app, ["--rounds", "0"]).exit_code == 2


def test_each_figure_comes_from_exactly_one_measurement() -> None:
    given = [name for each in (*PAIRED, *SOLO) for name in each.figures]
    assert sorted(given) == sorted(BY_NAME)
