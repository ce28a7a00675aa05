"""Tables and lines of ``vpc-cni lab``."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

Document = Mapping[str, Any]

PASSED, FAILED = "[green]ok[/]", "[bold red]FAILED[/]"
PIPE_COLUMNS = 200


def say(text: str) -> None:
    """Print one line as it is, however long."""
    Console(highlight=False, soft_wrap=True).print(text, markup=False)


def print_document(document: object) -> None:
    say(json.dumps(document, indent=2))


@contextmanager
def progress_printer(*, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Return a function that prints progress lines to standard error, so that results can be piped."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)

    def show(text: str) -> None:
        if not quiet:
            console.print(f"  {text}", markup=False)

    yield show


def print_status(status: Document) -> None:
    """Show a lab for people."""
    say(f"lab {status['name']}  VPC {status['vpc_cidr']} ({status['vpc_id']})  {status['region']}")
    say(f"EC2 API {status['endpoints']['host_api']}  log {status['log_path']}")
    print_nodes(status["nodes"])
    print_enis(status["nodes"])
    if status["kubernetes"]:
        print_kubernetes(status["kubernetes"])
    if status["pods"]:
        print_pods(status["pods"])
    if status["faults"]:
        print_faults(status["faults"])


def print_nodes(nodes: Sequence[Document]) -> None:
    rows = [
        (
            node["name"],
            node["instance_id"],
            node["instance_type"],
            node["address"],
            node["public_address"] or "-",
            str(len(node["enis"])),
            str(node["pods"]),
            str(node["agent_pid"] or "none"),
            str(node["agent_restarts"]),
        )
        for node in nodes
    ]
    print_table(("Node", "Instance", "Type", "Address", "Public", "ENIs", "Pods", "Agent pid", "Restarts"), rows)


def print_enis(nodes: Sequence[Document]) -> None:
    rows = [
        (
            node["name"],
            str(eni["device_number"]),
            eni["eni_id"],
            eni["primary_address"],
            str(len(eni["addresses"])),
            str(len(eni["prefixes"])),
            str(eni["spoofed_packets"]),
        )
        for node in nodes
        for eni in node["enis"]
    ]
    print_table(("Node", "Device", "ENI", "Primary", "Addresses", "Prefixes", "Spoofed packets"), rows)


def print_kubernetes(cluster: Document) -> None:
    say(f"Kubernetes {cluster['version']}  {cluster['api_server']}  KUBECONFIG={cluster['kubeconfig']}")
    rows = [
        (node["name"], "yes" if node["ready"] else "no", str(node["init_pid"] or "off"), node["log_dir"])
        for node in cluster["nodes"]
    ]
    print_table(("Node", "Ready", "Process 1", "Logs"), rows)


def print_pods(pods: Sequence[Document]) -> None:
    rows = [
        (
            pod["name"],
            pod["node"],
            pod["address"],
            "-" if pod["device_number"] is None else str(pod["device_number"]),
            pod["eni_id"] or "-",
            f"{pod['add_ms']:.1f}",
        )
        for pod in pods
    ]
    print_table(("Pod", "Node", "Address", "Device", "ENI", "ADD ms"), rows)


def print_faults(faults: Sequence[Document]) -> None:
    rows = [
        (str(fault["number"]), fault["kind"], ", ".join(f"{key}={value}" for key, value in fault["details"].items()))
        for fault in faults
    ]
    print_table(("Fault", "Kind", "Details"), rows)


def print_check(report: Document) -> None:
    """Show the rows of a check, one line each, and the verdict."""
    table = _table(("What", "From", "To", "By", "TCP", "UDP", "ping", ""))
    for row in report["rows"]:
        cells = {probe["protocol"]: _probe_cell(probe) for probe in row["probes"]}
        table.add_row(
            escape(row["title"]),
            escape(row["source"]),
            escape(row["target"]),
            escape(row["note"]),
            *(cells.get(protocol, "-") for protocol in ("TCP", "UDP", "ping")),
            PASSED if row["passed"] else FAILED,
        )
    _show_table(table)
    for problem in report["problems"]:
        say(f"problem: {problem}")
    passed = sum(row["passed"] for row in report["rows"])
    verdict = "everything works" if report["passed"] else "something is broken"
    say(f"{passed} of {len(report['rows'])} rows pass in {report['seconds']:.1f} s: {verdict}")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = _table(columns)
    for row in rows:
        table.add_row(*map(escape, row))
    _show_table(table)


def _show_table(table: Table) -> None:
    """Print a table; into a pipe or file at full width, since nobody can widen those."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_COLUMNS
    console.print(table)


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _probe_cell(probe: Document) -> str:
    if probe["passed"]:
        return f"{probe['ms']:.1f} ms"
    return f"[red]{escape(probe['detail'])}[/]"
