"""``vpc-cni lab kubernetes``: the programs of a cluster, and what one does to a running one. Parse, call, print."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from vpc_cni.cli.lab_output import progress_printer, say
from vpc_cni.lab import Lab, LabOptions
from vpc_cni.lab.kubernetes.installer import DEFAULT_ARCHIVE

app = typer.Typer(help="A real Kubernetes in the lab.", no_args_is_help=True)

DEFAULTS = LabOptions()
ARCHIVE = Path(os.path.relpath(DEFAULT_ARCHIVE))
Name = Annotated[str, typer.Option("--name", help="Name of the lab; several can be up side by side.")]
Node = Annotated[str, typer.Argument(help="Node.")]
Program = Annotated[str, typer.Argument(help="etcd, kube-apiserver, kube-controller-manager or kube-scheduler.")]


@app.command()
def prepare() -> None:
    """Find, install or build what `lab up --kubernetes` needs; the first build takes some 10 minutes."""
    # Otherwise the compiler would go on alone.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    # The parts of a build are needed here alone.
    from vpc_cni.lab.kubernetes.tooling.preparation import prepare as prepare_programs  # noqa: PLC0415

    with progress_printer() as progress:
        binaries = prepare_programs(progress)
    say(f"Kubernetes is in {binaries.folder}. Next: vpc-cni lab up --kubernetes")


@app.command()
def load(
    archives: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Archives: docker save, or OCI.")],
    name: Name = DEFAULTS.name,
) -> None:
    """Import images on every node, and on those that join later."""
    with progress_printer() as progress:
        Lab.attach(name, on_progress=progress).kubernetes.load(*archives)


@app.command()
def install(
    *,
    image: Annotated[Path, typer.Option(help="Archive of the add-on's images, as `make image` builds it.")] = ARCHIVE,
    version: Annotated[
        str, typer.Option(help="Version, such as v1.16.2-eksbuild.1; the newest that the cluster runs without.")
    ] = "",
    name: Name = DEFAULTS.name,
) -> None:
    """Install the add-on as its DaemonSet, or update it, and wait until every node serves with it."""
    with progress_printer() as progress:
        installed = Lab.attach(name, on_progress=progress).kubernetes.install(image, version)
    say(f"aws-node {installed} serves on every node")


@app.command()
def pod_roles(name: Name = DEFAULTS.name) -> None:
    """Let new pods have the IAM roles of their service accounts, as on EKS; see `lab role`."""
    with progress_printer() as progress:
        Lab.attach(name, on_progress=progress).kubernetes.give_pod_roles()


@app.command(name="exec", context_settings={"allow_interspersed_args": False})
def run_inside(
    node: Node,
    command: Annotated[list[str], typer.Argument(metavar="CMD...", help="Program and arguments, after --.")],
    name: Name = DEFAULTS.name,
) -> None:
    """Run a program on a node, in all its namespaces: its files, processes and network."""
    words = command[1:] if command[0] == "--" else command
    line = Lab.attach(name).kubernetes.inside(node, words)
    os.execv(line[0], line)  # noqa: S606 - no shell wanted


@app.command()
def switch_off(node: Node, name: Name = DEFAULTS.name) -> None:
    """End containerd, kubelet, kube-proxy and all containers of a node at once."""
    Lab.attach(name).kubernetes.switch_off(node)


@app.command()
def switch_on(node: Node, name: Name = DEFAULTS.name) -> None:
    """Start a node that is off."""
    Lab.attach(name).kubernetes.switch_on(node)


@app.command()
def stop(program: Program, name: Name = DEFAULTS.name) -> None:
    """Stop a program of the control plane."""
    Lab.attach(name).kubernetes.stop(program)


@app.command()
def start(program: Program, name: Name = DEFAULTS.name) -> None:
    """Start a program of the control plane again."""
    Lab.attach(name).kubernetes.start(program)
