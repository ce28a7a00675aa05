"""Results as a table for people and as JSON for programs."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from bench.figures import BY_NAME, Figure, Measured, describe_bar, is_met, to_json

_VERDICTS = {True: "met", False: "MISSED", None: ""}


def format_number(value: float | None, decimals: int) -> str:
    """Return a number as the table shows it; a dash for none. Pure."""
    return "-" if value is None else f"{value:,.{decimals}f}"


def row_of(figure: Figure, measured: Measured) -> tuple[str, ...]:
    """Return one line: name, unit, ours, peer, ratio, bar, verdict. Pure."""
    ratio = measured.ratio
    return (
        figure.name,
        figure.unit,
        format_number(measured.ours, figure.decimals),
        format_number(measured.peer, figure.decimals),
        format_number(ratio, 3 if ratio is not None and ratio < 1 else 2),
        describe_bar(figure),
        _VERDICTS[is_met(figure, measured)],
    )


def build_table(results: Sequence[Measured]) -> Table:
    """Return the table that the command prints."""
    table = Table(title="aws-cni beside ptp + host-local", caption="ratio: ours / peer")
    for title, justify in zip(HEADINGS, _JUSTIFY, strict=True):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]
    for measured in results:
        figure = BY_NAME[measured.name]
        style = "red" if is_met(figure, measured) is False else ""
        table.add_row(*row_of(figure, measured), style=style)
    return table


HEADINGS = ("figure", "unit", "ours", "peer", "ratio", "bar", "")
_JUSTIFY = ("left", "left", "right", "right", "right", "left", "left")


def write_json(results: Sequence[Measured], path: Path) -> None:
    """Write build/bench.json in one step, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(".tmp")
    staged.write_text(json.dumps(to_json(results), indent=2) + "\n")
    staged.replace(path)
