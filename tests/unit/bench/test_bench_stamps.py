"""Lines of the stopwatch."""

import pytest

from bench.stopwatch import Stamp, first_calls, parse_stamps
from vpc_cni.errors import HostError


def test_lines_are_calls_with_their_times() -> None:
    (stamp,) = parse_stamps("ADD c1 1000000 3500000 0\n")
    assert stamp == Stamp("ADD", "c1", 1_000_000, 3_500_000, 0)
    assert stamp.milliseconds == 2.5


@pytest.mark.parametrize("line", ["ADD c1 1 2", "ADD c1 1 2 x", ""], ids=["short", "no number", "empty"])
def test_another_line_is_refused(line: str) -> None:
    with pytest.raises(HostError, match="not a line"):
        parse_stamps(f"ADD c1 1 2 0\n{line}\n")


def test_repeated_calls_count_once_by_the_time_of_their_start() -> None:
    stamps = parse_stamps("DEL c1 50 60 0\nDEL c1 10 70 0\nADD c1 1 2 0\nDEL c2 5 6 1\n")
    assert {key: stamp.started_ns for key, stamp in first_calls(stamps, "DEL").items()} == {"c1": 10, "c2": 5}
