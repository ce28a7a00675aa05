"""tools/build_image.py where it cannot work, with stand-ins for system programs."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the tool and its inputs alone; ``bin`` is all of PATH."""
    folder = tmp_path / "checkout"
    for name in ("tools/build_image.py", "tools/wheelhouse.txt", "tools/hatch_build.py", "pyproject.toml", "uv.lock"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "deploy" / "image", folder / "deploy" / "image")
    (folder / "src").mkdir()
    for name in ("LICENSE", "README.md"):
        (folder / name).write_text("")
    (folder / ".wheelhouse").mkdir()
    (folder / "bin").mkdir()
    return folder


def stand_in(checkout: Path, name: str, script: str = "exit 0") -> None:
    program = checkout / "bin" / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_image", ROOT / "tools" / "build_image.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def run(checkout: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, checkout / "tools" / "build_image.py", "--cache", str(checkout / "cache")]
    environ = {"PATH": str(checkout / "bin")}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)


def test_without_root_docker_is_advised() -> None:
    tool = load()
    with pytest.raises(tool.ImageError, match=r"needs root.*docker"):
        tool.check_machine(1000)


@pytest.mark.skipif(os.geteuid() != 0, reason="refused before")
def test_missing_programs_are_named_with_the_line_to_run(checkout: Path) -> None:
    done = run(checkout)
    assert done.returncode == 1
    assert "apt-get install -y --no-install-recommends buildah debootstrap" in done.stderr
    stand_in(checkout, "buildah")
    assert "apt-get install -y --no-install-recommends debootstrap" in run(checkout).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="refused before")
def test_missing_wheels_are_named(checkout: Path) -> None:
    for name in ("buildah", "debootstrap"):
        stand_in(checkout, name)
    done = run(checkout)
    assert done.returncode == 1
    assert "no wheel of " in done.stderr
    assert "botocore" in done.stderr
    (checkout / ".wheelhouse").rmdir()
    assert "run: make setup" in run(checkout).stderr
