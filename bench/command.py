"""``python -m bench``: options in; table, chart and files out."""

import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.chart import draw_chart
from bench.document import render_page
from bench.figures import BY_NAME, parse_names
from bench.machine import read_machine
from bench.plan import Results, run_plan
from bench.report import build_table, write_json
from bench.rounds import QUICK, Sizes
from bench.tmpfs import memory_folder
from vpc_cni.errors import HostError, VpcCniError

ROOT = Path(__file__).parents[1]
JSON_FILE = ROOT / "build/bench.json"
PAGE = ROOT / "docs/benchmarks.md"
CHART = ROOT / "docs/benchmarks.svg"
TIME_LIMIT_SECONDS = 600

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_console = Console(width=None if sys.stdout.isatty() else 110)
_progress = Console(stderr=True, highlight=False)


@app.command()
def bench(
    *,
    names: Annotated[list[str] | None, typer.Argument(metavar="[FIGURE]...", help="The same as --only.")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Measure these figures alone.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, max=100, help="Rounds of ours and peer in turn.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A short look: few rounds; docs/ stays as it is.")] = False,
) -> None:
    """Measure our plugin beside ptp + host-local; print a table, write build/bench.json and docs/benchmarks.*."""
    try:
        wanted = parse_names(split_names([*(only or ()), *(names or ())]))
        sizes = choose_sizes(quick, rounds)
        results, seconds = _measure(wanted, sizes)
    except VpcCniError as err:
        _progress.print(f"error: {err}", style="red", markup=False)
        raise typer.Exit(2) from err
    _publish(results, sizes, seconds, whole=not quick and len(wanted) == len(BY_NAME))
    raise typer.Exit(1 if results.failures else 0)


def split_names(words: Iterable[str]) -> list[str]:
    """Return names given one by one or separated by commas or blanks. Pure."""
    return [name for word in words for name in word.replace(",", " ").split()]


def choose_sizes(quick: bool, rounds: int | None) -> Sizes:
    """Return how much to measure. Pure."""
    sizes = QUICK if quick else Sizes()
    return sizes if rounds is None else replace(sizes, rounds=rounds)


def _measure(wanted: Sequence[str], sizes: Sizes) -> tuple[Results, float]:
    if os.geteuid() != 0:
        raise HostError("the bench makes network namespaces and reads the agent's memory", hint="run it as root")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _interrupt)
    signal.alarm(TIME_LIMIT_SECONDS)
    started = time.monotonic()
    try:
        with memory_folder() as folder:
            results = run_plan(frozenset(wanted), sizes, folder, lambda text: _progress.print(text, markup=False))
    except KeyboardInterrupt as err:
        raise HostError("interrupted, or over the time limit", hint="nothing of it is left") from err
    finally:
        signal.alarm(0)
    return results, time.monotonic() - started


def _interrupt(_number: int, _frame: object) -> None:
    # Everything that must be undone is undone by leaving "with" statements.
    raise KeyboardInterrupt


def _publish(results: Results, sizes: Sizes, seconds: float, *, whole: bool) -> None:
    ordered = results.ordered()
    _console.print(build_table(ordered))
    for failure in results.failures:
        _progress.print(f"failed: {failure}", style="red", markup=False)
    write_json(ordered, JSON_FILE)
    _console.print(f"results: {JSON_FILE.relative_to(ROOT)}", highlight=False)
    if whole and not results.failures:
        PAGE.write_text(render_page(ordered, read_machine(), sizes, seconds))
        CHART.write_text(draw_chart(ordered))
        _console.print(f"page: {PAGE.relative_to(ROOT)}, chart: {CHART.relative_to(ROOT)}", highlight=False)
