"""``vpc-cni lab kubernetes``: the programs of a cluster. Parse, call, print."""

import typer

from vpc_cni.cli.lab_output import progress_printer, say
from vpc_cni.lab.kubernetes import tooling

app = typer.Typer(help="A real Kubernetes in the lab.", no_args_is_help=True)


@app.callback()
def kubernetes() -> None:
    """A real Kubernetes in the lab."""


@app.command()
def prepare() -> None:
    """Find, install or build what `lab up --kubernetes` needs; the first build takes some 10 minutes."""
    with progress_printer() as progress:
        binaries = tooling.prepare(progress)
    say(f"Kubernetes is in {binaries.folder}. Next: vpc-cni lab up --kubernetes")
