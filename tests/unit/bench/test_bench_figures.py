"""The names, units, bars and JSON that others read."""

import pytest

from bench.figures import BY_NAME, FIGURES, Figure, Judged, Measured, compared, is_met, parse_names, to_json
from vpc_cni.errors import CallerError

NAMES = {
    "add_p50_w1": ("ratio <=", 0.25),
    "add_p50_w8": ("ratio <=", 0.15),
    "add_p99_w1": ("ratio <=", 0.40),
    "del_p50_w1": ("ratio <=", 0.15),
    "settled_p99_ms": ("<=", 250),
    "settled_p99_ms_churn": ("<=", 1000),
    "churn_w8": ("ratio >=", 5),
    "cpu_pair": ("ratio <=", 0.2),
    "add_p50_700_vs_0": ("ratio <=", 1.6),
    "rss_1000_mib": ("<=", 45),
    "first_address_extra_ms": ("<=", 150),
    "first_address_calls": ("<=", 1),
    "first_address_new_eni_extra_ms": ("<=", 150),
    "first_address_new_eni_calls": ("<=", 3),
    "burst_110_ms": ("", None),
    "steady_pairs_s_cooldown_30": ("", None),
    "addons_describe_p99_ms": ("<=", 60),
    "addons_describe_p99_dead_vs_none": ("ratio <=", 1.5),
    "addons_update_start_ms": ("<=", 1000),
}


def test_names_and_bars_are_those_that_others_look_for() -> None:
    assert {figure.name: (figure.judged.value, figure.bar) for figure in FIGURES} == NAMES


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(FIGURES)


@pytest.mark.parametrize(
    ("judged", "measured", "expected"),
    [
        (Judged.RATIO_AT_MOST, Measured("x", 9.0, 90.0, 0.1), True),
        (Judged.RATIO_AT_MOST, Measured("x", 9.0, 18.0, 0.5), False),
        (Judged.RATIO_AT_MOST, Measured("x", 9.0), None),
        (Judged.RATIO_AT_LEAST, Measured("x", 9.0, 9.0, 1.0), True),
        (Judged.RATIO_AT_LEAST, Measured("x", 9.0, 90.0, 0.1), False),
        (Judged.OURS_AT_MOST, Measured("x", 0.2), True),
        (Judged.OURS_AT_MOST, Measured("x", 0.3), False),
    ],
)
def test_bar_is_for_the_number_it_names(judged: Judged, measured: Measured, expected: bool | None) -> None:
    assert (
        is_met(Figure("x", "ms", "x", judged, 0.2 if judged is not Judged.RATIO_AT_LEAST else 1.0), measured)
        is expected
    )


def test_figure_without_a_bar_is_neither_met_nor_missed() -> None:
    assert is_met(BY_NAME["burst_110_ms"], compared("burst_110_ms", 1.0, 2.0)) is None


def test_json_has_null_where_there_is_no_peer() -> None:
    results = [
        compared("churn_w8", 500.0, 100.0),
        Measured("rss_1000_mib", 33.5),
        Measured("add_p50_700_vs_0", 2.4, None, 1.5),
    ]
    assert to_json(results) == [
        {"name": "churn_w8", "ours": 500.0, "peer": 100.0, "ratio": 5.0, "unit": "pairs/s"},
        {"name": "rss_1000_mib", "ours": 33.5, "peer": None, "ratio": None, "unit": "MiB"},
        {"name": "add_p50_700_vs_0", "ours": 2.4, "peer": None, "ratio": 1.5, "unit": "ms"},
    ]


def test_all_figures_are_wanted_when_none_is_named() -> None:
    assert parse_names([]) == tuple(BY_NAME)


def test_unknown_figure_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CallerError, match=r"add_p51_w1.*add_p50_w1"):
        parse_names(["add_p50_w8", "add_p51_w1"])
