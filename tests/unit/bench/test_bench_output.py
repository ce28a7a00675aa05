"""Table, JSON file, chart and page."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from bench.chart import draw_chart
from bench.document import render_page
from bench.figures import BY_NAME, FIGURES, Measured, compared
from bench.machine import Machine
from bench.report import build_table, format_number, row_of, write_json
from bench.rounds import Sizes

MACHINE = Machine("2024-05-06", "6.1.0-test", 2, "Some CPU", 8, "3.11.2", "containernetworking-plugins 1.1.1", "0.1.0")
RESULTS = [
    compared("add_p50_w1", 1.5, 10.0, "300 calls a side"),
    compared("churn_w8", 400.0, 100.0),
    Measured("rss_1000_mib", 35.24),
]


@pytest.mark.parametrize(
    ("value", "decimals", "expected"), [(None, 2, "-"), (1234.5, 0, "1,234"), (0.126, 2, "0.13"), (3, 0, "3")]
)
def test_format_number(value: float | None, decimals: int, expected: str) -> None:
    assert format_number(value, decimals) == expected


def test_row_shows_ratio_bar_and_verdict() -> None:
    assert row_of(BY_NAME["add_p50_w1"], RESULTS[0]) == (
        "add_p50_w1",
        "ms",
        "1.50",
        "10.00",
        "0.150",
        "ratio <= 0.25",
        "met",
    )
    assert row_of(BY_NAME["churn_w8"], RESULTS[1])[-3:] == ("4.00", "ratio >= 5", "MISSED")
    assert row_of(BY_NAME["rss_1000_mib"], RESULTS[2])[2:] == ("35.2", "-", "-", "<= 45", "met")


def test_table_has_a_line_for_each_result() -> None:
    console = Console(width=110, record=True, file=open("/dev/null", "w"))  # noqa: SIM115 - the process ends soon
    console.print(build_table(RESULTS))
    text = console.export_text()
    assert all(each.name in text for each in RESULTS)
    assert text.count("MISSED") == 1


def test_json_file_replaces_the_former_one_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "build/bench.json"
    write_json(RESULTS, path)
    write_json(RESULTS[:1], path)
    assert [each["name"] for each in json.loads(path.read_text())] == ["add_p50_w1"]
    assert list(path.parent.iterdir()) == [path]


def test_chart_is_xml_with_two_bars_for_each_compared_figure() -> None:
    svg = ElementTree.fromstring(draw_chart(RESULTS))  # noqa: S314 - our own text
    bars = [each for each in svg.iter("{http://www.w3.org/2000/svg}rect") if each.get("rx")]
    assert len(bars) == 4
    ours, peer = (float(bar.get("width", "0")) for bar in bars[:2])
    assert ours / peer == pytest.approx(0.15, abs=0.01)


def test_chart_of_nothing_compared_is_still_a_chart() -> None:
    assert "<svg" in draw_chart(RESULTS[2:])


def test_page_has_results_machine_and_method() -> None:
    page = render_page(RESULTS, MACHINE, Sizes(rounds=7), 123.4)
    assert "| `add_p50_w1` | ms | 1.50 | 10.00 | 0.150 | ratio <= 0.25 | met |" in page
    assert "median (300 calls a side)." in page
    assert "7 rounds" in page
    assert "Linux 6.1.0-test, 2 CPUs (Some CPU), 8 GiB" in page
    assert "## Method" in page


def test_every_charted_figure_is_compared_with_the_peer() -> None:
    charted = {figure.name for figure in FIGURES if figure.charted}
    assert charted
    assert charted.isdisjoint({"rss_1000_mib", "add_p50_700_vs_0", "steady_pairs_s_cooldown_30"})
