"""docs/lab.md knows every command and every option of the start."""

from pathlib import Path

import pytest
import typer

from vpc_cni.cli.lab import app

DOCUMENT = (Path(__file__).parents[3] / "docs" / "lab.md").read_text()
ROOT = typer.main.get_command(app)


def commands(group, prefix=""):
    for name, command in group.commands.items():
        words = f"{prefix} {name}".strip()
        yield from commands(command, words) if hasattr(command, "commands") else [words]


@pytest.mark.parametrize("words", list(commands(ROOT)))
def test_every_command_is_documented(words):
    # Faults stand in a table of their own, without the word before them.
    spellings = [f"lab {words}", f"`{words}", f"`{words.removeprefix('fault ')}"]
    assert any(spelling in DOCUMENT for spelling in spellings[: 3 if words.startswith("fault ") else 2])


@pytest.mark.parametrize("option", [option for each in ROOT.commands["up"].params for option in each.opts])
def test_every_option_of_the_start_is_documented(option):
    assert option in DOCUMENT
