"""``vpc-cni node``: look at the agent of one node.

``status`` reads ``/v1/status`` of the agent's introspection, over the socket in the agent's run directory or over
HTTP, and shows it as tables; ``--json`` prints the document as it came. The document's shape is
:class:`vpc_cni.cli._status.Status`.
"""

import json
from typing import Annotated

import typer
from rich.console import Console

from vpc_cni.cli._introspection import fetch_json, parse_agent_address
from vpc_cni.cli._status import Status, check_status
from vpc_cni.cli._status_view import render_status
from vpc_cni.cli.node_handback import handback, takeover
from vpc_cni.settings import INTROSPECTION_SOCKET_NAME

# As kubectl does: a line that is too long for the terminal is wrapped by it, and no identifier is ever cut.
_LEAST_WIDTH = 240

DEFAULT_AGENT = f"/var/run/aws-node/{INTROSPECTION_SOCKET_NAME}"

app = typer.Typer(help="Look at the agent of one node; give the node back, or take it again.", no_args_is_help=True)
app.command()(handback)
app.command()(takeover)


@app.callback()
def _node() -> None:
    """Look at the agent of one node; give the node back, or take it again."""


@app.command()
def status(
    agent: Annotated[
        str,
        typer.Option(
            envvar="VPC_CNI_AGENT", help="The agent's introspection: a socket's path, HOST:PORT or http://HOST:PORT."
        ),
    ] = DEFAULT_AGENT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the agent's answer as JSON.")] = False,
) -> None:
    """Show ENIs, addresses, pods, what the pool waits for, and the last errors."""
    document = check_status(fetch_json(parse_agent_address(agent), "/v1/status"))
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        show(document, Console(highlight=False))


def show(document: Status, console: Console) -> None:
    """Print a status as tables."""
    console.width = max(console.width, _LEAST_WIDTH)
    for part in render_status(document):
        console.print(part)
