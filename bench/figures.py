"""The figures: what each name means, which bar it has, and what was measured. Pure."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.stats import ratio
from vpc_cni.errors import CallerError


class Judged(enum.StrEnum):
    """Which number the bar is for, and on which side of it the number must be."""

    RATIO_AT_MOST = "ratio <="
    RATIO_AT_LEAST = "ratio >="
    OURS_AT_MOST = "<="
    NOT_AT_ALL = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Args:
        name: the key in build/bench.json.
        decimals: how many the table shows.
        charted: whether it has bars in the chart, which need a peer.
    """

    name: str
    unit: str
    meaning: str
    judged: Judged = Judged.NOT_AT_ALL
    bar: float | None = None
    decimals: int = 2
    charted: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """What a figure came to.

    Args:
        peer: None where there is no comparison.
        ratio: ours / peer unless said otherwise in the figure's meaning; None where there is none.
        note: what a reader should know about this number; may be empty.
    """

    name: str
    ours: float
    peer: float | None = None
    ratio: float | None = None
    note: str = ""


FIGURES: tuple[Figure, ...] = (
    Figure("add_p50_w1", "ms", "ADD, one at a time: median", Judged.RATIO_AT_MOST, 0.25, charted=True),
    Figure("add_p50_w8", "ms", "ADD, 8 at a time: median", Judged.RATIO_AT_MOST, 0.15, charted=True),
    Figure("add_p99_w1", "ms", "ADD, one at a time: 99th percentile", Judged.RATIO_AT_MOST, 0.40, charted=True),
    Figure("del_p50_w1", "ms", "DEL, one at a time: median", Judged.RATIO_AT_MOST, 0.15, charted=True),
    Figure(
        "settled_p99_ms",
        "ms",
        "from DEL's exit until the link is gone from the kernel, one pod at a time: 99th percentile",
        Judged.OURS_AT_MOST,
        250,
        decimals=1,
    ),
    Figure(
        "settled_p99_ms_churn", "ms", "the same while 8 workers add and delete", Judged.OURS_AT_MOST, 1000, decimals=1
    ),
    Figure(
        "churn_w8",
        "pairs/s",
        "ADD and DEL pairs, 8 workers, until the last link is gone from the kernel",
        Judged.RATIO_AT_LEAST,
        5,
        decimals=0,
        charted=True,
    ),
    Figure(
        "cpu_pair",
        "ms",
        "CPU time of all processes for a pair, in the churn: plugins, agent, removal of links",
        Judged.RATIO_AT_MOST,
        0.2,
        charted=True,
    ),
    Figure(
        "add_p50_700_vs_0",
        "ms",
        "ADD median with 700 pods present; the ratio is to the same with none",
        Judged.RATIO_AT_MOST,
        1.6,
    ),
    Figure(
        "rss_1000_mib",
        "MiB",
        "memory (PSS) of all agent processes after 1,000 ADDs and 10 s idle, web-identity credentials",
        Judged.OURS_AT_MOST,
        45,
        decimals=1,
    ),
    Figure(
        "first_address_extra_ms",
        "ms",
        "ADD on an empty pool, minus the configured EC2 latencies: an ENI has room",
        Judged.OURS_AT_MOST,
        150,
        decimals=1,
    ),
    Figure(
        "first_address_calls", "calls", "mutating EC2 calls before that address was wired", Judged.OURS_AT_MOST, 1, 0
    ),
    Figure(
        "first_address_new_eni_extra_ms",
        "ms",
        "ADD on an empty pool, minus the configured EC2 and link latencies: a new ENI is needed",
        Judged.OURS_AT_MOST,
        150,
        decimals=1,
    ),
    Figure(
        "first_address_new_eni_calls",
        "calls",
        "mutating EC2 calls before that address was wired",
        Judged.OURS_AT_MOST,
        3,
        0,
    ),
    Figure("burst_110_ms", "ms", "110 ADDs started at once on a warm node: all done", decimals=0, charted=True),
    Figure(
        "steady_pairs_s_cooldown_30",
        "pairs/s",
        "ADD and DEL pairs with the default cooldown of 30 s, after the first 30 s; 735 addresses / 30 s is the limit",
        decimals=1,
    ),
    Figure(
        "addons_describe_p99_ms",
        "ms",
        "add-on service with 200 clusters, 10 of them dead: DescribeAddon at 100 requests/s, 99th percentile",
        Judged.OURS_AT_MOST,
        60,
        decimals=1,
    ),
    Figure(
        "addons_describe_p99_dead_vs_none",
        "ms",
        "the same; the ratio is to a service without dead clusters, asked in turn",
        Judged.RATIO_AT_MOST,
        1.5,
        decimals=1,
    ),
    Figure(
        "addons_update_start_ms",
        "ms",
        "from UpdateAddon on a healthy cluster beside the dead ones to the first write there: the slowest",
        Judged.OURS_AT_MOST,
        1000,
        decimals=0,
    ),
)
BY_NAME: Mapping[str, Figure] = {figure.name: figure for figure in FIGURES}


def compared(name: str, ours: float, peer: float, note: str = "") -> Measured:
    """Return a figure with its ratio to the peer."""
    return Measured(name, ours, peer, ratio(ours, peer), note)


def is_met(figure: Figure, measured: Measured) -> bool | None:
    """Tell whether a figure reaches its bar; None when it has none or the number is missing."""
    number = measured.ours if figure.judged is Judged.OURS_AT_MOST else measured.ratio
    if figure.bar is None or number is None:
        return None
    return number >= figure.bar if figure.judged is Judged.RATIO_AT_LEAST else number <= figure.bar


def describe_bar(figure: Figure) -> str:
    return "reported" if figure.bar is None else f"{figure.judged} {figure.bar:g}"


def parse_names(names: Iterable[str]) -> tuple[str, ...]:
    """Check names of figures; all of them when none is given.

    Raises:
        CallerError: a name is not known.
    """
    chosen = tuple(names)
    unknown = [name for name in chosen if name not in BY_NAME]
    if unknown:
        raise CallerError(f"there is no figure {', '.join(unknown)}", hint=f"known: {', '.join(BY_NAME)}")
    return chosen or tuple(BY_NAME)


def to_json(results: Iterable[Measured]) -> list[dict[str, Any]]:
    """Return the content of build/bench.json."""
    return [
        {"name": each.name, "ours": each.ours, "peer": each.peer, "ratio": each.ratio, "unit": BY_NAME[each.name].unit}
        for each in results
    ]
