"""The command itself: version, sub-commands that are missing, errors at the border."""

import pytest

from vpc_cni import __version__
from vpc_cni.cli import SUB_COMMANDS, SubCommand, _load, main
from vpc_cni.errors import HostError


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    code = ended.value.code
    return code if isinstance(code, int) else 0


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.strip() == f"vpc-cni {__version__}"


def test_help_lists_every_sub_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    printed = capsys.readouterr().out
    for command in SUB_COMMANDS:
        assert f" {command.name} " in printed


@pytest.mark.parametrize("words", [["nodes"], ["node", "stat"], ["node", "status", "--jsno"]])
def test_a_typing_mistake_is_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_missing_extra_is_named() -> None:
    # A module of the standard library that fails to import a package which nobody has.
    command = SubCommand("lab", "no_such_package_anywhere", extra="lab")
    with pytest.raises(HostError) as caught:
        _load(command)
    assert "no_such_package_anywhere" in caught.value.message
    assert caught.value.hint == "pip install 'vpc-cni[lab]'"
