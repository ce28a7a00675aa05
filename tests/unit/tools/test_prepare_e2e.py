"""tools/prepare_e2e.py on machines that cannot have a cluster: it says why, in words for people."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from vpc_cni.errors import HostError

TOOLS = Path(__file__).resolve().parents[3] / "tools"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The program as a module, in a folder of its own with ``bin`` as the only place of programs."""
    monkeypatch.syspath_prepend(TOOLS)
    monkeypatch.chdir(tmp_path)
    for name in ("bin", "build"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    specification = importlib.util.spec_from_file_location("prepare_e2e", TOOLS / "prepare_e2e.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "prepare_e2e", module)
    specification.loader.exec_module(module)
    return module


def stand_in(name: str, script: str) -> None:
    path = Path("bin", name)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("uid", "machine", "words"),
    [
        (1000, "x86_64", "sudo make e2e"),
        (0, "riscv64", "not tried on riscv64"),
        (0, "x86_64", "not a Debian system"),
    ],
    ids=["no-root", "other-machine", "no-apt"],
)
def test_what_no_package_can_mend(program: ModuleType, uid: int, machine: str, words: str) -> None:
    assert words in program.why_impossible(uid, machine)


def test_a_kernel_that_refuses_namespaces_is_quoted(program: ModuleType) -> None:
    stand_in("apt-get", "exit 0")
    stand_in("unshare", "echo not today >&2; exit 1")
    assert "not today" in program.why_impossible(0, "x86_64")
    stand_in("unshare", "exit 0")
    assert program.why_impossible(0, "x86_64") == ""


def test_an_archive_that_does_not_answer_is_an_error(program: ModuleType) -> None:
    stand_in("apt-get", "exit 0")
    program.ask_mirror()
    stand_in("apt-get", "exit 100")
    with pytest.raises(HostError, match="status 100"):
        program.ask_mirror()
