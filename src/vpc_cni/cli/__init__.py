"""The ``vpc-cni`` command: parse, call, print. The only place that uses Typer and Rich.

Sub-commands live in modules of their own and are imported when they are asked for: ``vpc-cni node status`` must work,
and start fast, on a node where nothing of the lab is installed. Errors of the one exception tree end here.
"""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.markup import escape

from vpc_cni import __version__
from vpc_cni.cli.exit_statuses import exit_status
from vpc_cni.errors import HostError, VpcCniError


@dataclass(frozen=True, slots=True)
class SubCommand:
    """A module with a Typer named ``app``, and the extra that brings what the module needs."""

    name: str
    module: str
    extra: str = ""


SUB_COMMANDS = (
    SubCommand("addon", "vpc_cni.cli.addon", extra="self-managed"),
    SubCommand("addons", "vpc_cni.cli.addons", extra="addons"),
    SubCommand("lab", "vpc_cni.cli.lab", extra="lab"),
    SubCommand("node", "vpc_cni.cli.node"),
    SubCommand("self-managed", "vpc_cni.cli.self_managed", extra="self-managed"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process.

    The exit status is one of :data:`vpc_cni.cli.exit_statuses.EXIT_STATUSES`, with the reason on standard error.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        build_app(words)(args=words, prog_name="vpc-cni")
    except VpcCniError as err:
        _print_error(err)
        sys.exit(exit_status(err))


def build_app(words: Sequence[str]) -> typer.Typer:
    """Return the application with the sub-command that ``words`` ask for; with all of them where none is named.

    Raises:
        HostError: the sub-command needs a package that is not installed.
    """
    app = typer.Typer(
        help="VPC-native pod networking for Kubernetes on AWS.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    asked = next((word for word in words if not word.startswith("-")), "")
    named = [each for each in SUB_COMMANDS if each.name == asked]
    for command in named:
        app.add_typer(_load(command), name=command.name)
    for command in () if named else SUB_COMMANDS:
        _add_if_installed(app, command)
    return app


def _add_if_installed(app: typer.Typer, command: SubCommand) -> None:
    # The list of commands is for reading: it must not fail because of one that lacks a package.
    try:
        app.add_typer(_load(command), name=command.name)
    except HostError as err:
        app.add_typer(typer.Typer(help=f"(not installed: {err.hint})"), name=command.name)


def _load(command: SubCommand) -> typer.Typer:
    try:
        module = importlib.import_module(command.module)
    except ModuleNotFoundError as err:
        # The image has no lab, not even its command.
        is_ours = (err.name or "").startswith("vpc_cni") and err.name != command.module
        if not command.extra or is_ours:
            raise
        raise HostError(
            f"vpc-cni {command.name} needs the Python package {err.name}, which is not installed",
            hint=f"pip install 'vpc-cni[{command.extra}]'",
        ) from err
    app: typer.Typer = module.app
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vpc-cni {__version__}")
        raise typer.Exit


def _root(
    _version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
) -> None:
    """Run before every sub-command; only the options of the command itself are handled here."""


def _print_error(err: VpcCniError) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]error:[/] {escape(err.message)}")
    if err.hint:
        console.print(f"  [bold]do:[/] {escape(err.hint)}")
