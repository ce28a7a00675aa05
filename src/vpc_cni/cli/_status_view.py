"""A node's status as tables. Pure: a document in, things that Rich can print out.

Written for a reader who has a problem: what is wrong comes first, and what is as it should be stays short.
"""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vpc_cni.cli._status import ErrorStatus, Status

_COUNTS = ("total", "assigned", "cooling", "free", "quarantined")


def render_status(status: Status) -> Iterator[RenderableType]:
    """Yield the parts from top to bottom; parts without content are left out.

    An agent that waits to begin knows nothing of the node: it has no pool, which is no pool of zero addresses.
    """
    yield _headline(status)
    if status["node"]["instance_id"]:
        yield _pool(status)
        yield _enis(status)
    if status["pods"]:
        yield Group(Text(), _pods(status))
    if status["pool"].get("quarantine"):
        yield Group(Text(), _quarantine(status))
    if status["errors"]:
        yield Group(Text(), _errors(status["errors"]))


def _headline(status: Status) -> RenderableType:
    node = status["node"]
    state = Text("ready", "green") if node["ready"] else Text("not ready", "bold red")
    place = f" ({node['instance_type']}, {node['availability_zone']})" if node["instance_id"] else ""
    line = Text.assemble(
        (node["instance_id"] or "node not looked at yet", "bold"),
        f"{place}  agent {node['agent_version']}, ",
        f"up {format_duration(node['uptime_seconds'])}, ",
        state,
    )
    reasons = [Text(f"  {reason}", "red") for reason in node["reasons"]]
    return Group(line, *reasons, Text())


def format_duration(seconds: float) -> str:
    """Return two units at most, such as ``3 h 5 min``. Pure."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{value} {unit}" for value, unit in parts if value][:2]
    return " ".join(shown) or "0 s"


def _pool(status: Status) -> RenderableType:
    pool = status["pool"]
    counts = Text.assemble(
        ("Pool  ", "bold"),
        f"{pool['total']} addresses: {pool['assigned']} assigned, {pool['free']} free, {pool['cooling']} cooling",
    )
    for count, text in (
        (pool["quarantined"], "in quarantine"),
        (pool["waiting"], "pods waiting for an address"),
        (status["spool"], "recorded DELs to replay"),
    ):
        if count:
            counts.append(f", {count} {text}", "bold yellow")
    targets = ", ".join(f"{name}={'-' if value is None else value}" for name, value in pool["targets"].items())
    lines = [f"  targets: {targets}"] if targets else []
    lines += [f"  {sentence}" for sentence in pool["explanation"]]
    lines += [f"  doing: {action}" for action in pool["actions"]]
    return Group(counts, *map(Text, lines), Text())


def _enis(status: Status) -> Table:
    table = _table("ENIs", ("ENI", "device", "state", "primary address", "MAC", "subnet"), _COUNTS)
    for eni in sorted(status["enis"], key=lambda eni: eni["device_number"]):
        words = (eni["eni_id"], str(eni["device_number"]), eni["state"], eni["primary_address"], eni["mac"])
        # Counts are read by the names in _COUNTS, which are those of the document.
        counts = [eni["total"], eni["assigned"], eni["cooling"], eni["free"], eni["quarantined"]]
        _add_row(table, (*words, eni["subnet_id"], *map(str, counts)))
    return table


def _pods(status: Status) -> Table:
    table = _table("Pods", ("namespace", "pod", "address", "ENI", "container", "interface", "since"))
    for pod in status["pods"]:
        words = (pod["namespace"], pod["name"], pod["address"], pod["eni_id"])
        _add_row(table, (*words, pod["container_id"][:12], pod["ifname"], pod["since"]))
    return table


def _quarantine(status: Status) -> Table:
    table = _table("Quarantine: addresses held back until it is known who uses them", ("address", "reason", "detail"))
    for each in status["pool"].get("quarantine", []):
        _add_row(table, (each["address"], each["reason"], each["detail"]))
    return table


def _errors(errors: Iterable[ErrorStatus]) -> RenderableType:
    lines: list[Text] = [Text("Last errors", "bold")]
    for error in errors:
        what = " ".join(part for part in (error["operation"], error["code"]) if part)
        lines.append(Text.assemble(f"  {error['at']}  ", (what, "red"), f"  {error['message']}"))
        if error["hint"]:
            lines.append(Text(f"    do: {error['hint']}"))
    return Group(*lines)


def _table(title: str, words: Iterable[str], counts: Iterable[str] = ()) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in words:
        table.add_column(name, no_wrap=True)
    for name in counts:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _add_row(table: Table, cells: Iterable[str]) -> None:
    # As Text: names of pods and messages of EC2 may hold what Rich takes for markup.
    table.add_row(*map(Text, cells))
