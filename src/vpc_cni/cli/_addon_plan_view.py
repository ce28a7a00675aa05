"""How a plan is shown to people: a table for each object that changes. Pure."""

from collections.abc import Iterable

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from vpc_cni.cli._change_view import shown
from vpc_cni.cluster.applying import Mode
from vpc_cni.lifecycle.estimates import estimate_lines
from vpc_cni.lifecycle.planning import Forecast, ObjectForecast

_STYLES = {"conflict": "bold red", "set": "yellow", "removed": "yellow", "kept": "green"}


def plan_people(found: Forecast, *, show_all: bool) -> Iterable[RenderableType]:
    """Yield the way to the target, then what becomes of each field, then what each mode comes to.

    Where the catalogue does not have the version, that stands before all else.
    """
    if found.estimate is not None:
        yield from (Text(line, style="bold yellow") for line in estimate_lines(found.estimate))
    yield Text(f"path: {' -> '.join(found.steps)}")
    if not found.changes:
        yield Text("no difference")
    for each in found.objects:
        yield from _object(each, show_all=show_all)
    for name in found.deletions:
        yield Text(f"{name}: deleted")
    yield ""
    for mode, refused in found.refused.items():
        yield Text(f"{mode:<10}{_comes_to(found, mode, refused=refused)}")


def _comes_to(found: Forecast, mode: str, *, refused: bool) -> str:
    if refused:
        return f"refused as a whole: {len(found.conflicts)} conflicts"
    outcomes = [one.outcomes[mode] for each in found.objects for one in each.fields if not one.is_foreign]
    kept = f", {outcomes.count('kept')} kept as others set them" if "kept" in outcomes else ""
    return f"{outcomes.count('set')} fields set, {outcomes.count('removed')} removed{kept}"


def _object(each: ObjectForecast, *, show_all: bool) -> Iterable[RenderableType]:
    if each.is_new:
        yield Text(f"{each.name}: new", style="bold")
    for reason in each.rewrites:
        yield Text(f"{each.name}: rewritten first: {reason}", style="yellow")
    if each.refusal:
        yield Text(f"{each.name}: the API server refuses: {each.refusal}", style="bold red")
    fields = [one for one in each.fields if show_all or not one.is_foreign]
    if not fields:
        return
    table = Table(title=each.name, title_justify="left", title_style="bold", box=None, pad_edge=False, show_lines=False)
    for column in ("field", "owner", "live", "target", *map(str, Mode)):
        table.add_column(column, overflow="fold")
    for one in fields:
        outcomes = [Text(one.outcomes[str(mode)], style=_STYLES[one.outcomes[str(mode)]]) for mode in Mode]
        values = (Text("" if value is None else shown(value)) for value in (one.live, one.target))
        table.add_row(Text(one.path), ", ".join(one.owners), *values, *outcomes)
    yield table
