"""tools/setup.sh and tools/run-tests.sh where something is missing or fails, with stand-ins for system programs."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the scripts alone, and a folder ``bin`` that comes first in PATH."""
    (tmp_path / "tools").mkdir()
    for name in ("setup.sh", "run-tests.sh"):
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools" / name)
    for name in ("pyproject.toml", "uv.lock", "tools/uv.txt", "tools/wheelhouse.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "bin").mkdir()
    return tmp_path


def stand_in(checkout: Path, name: str, script: str) -> None:
    program = checkout / "bin" / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def run(checkout: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{checkout}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(checkout), **variables}
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_without_root_the_line_to_run_is_printed(checkout: Path) -> None:
    stand_in(checkout, "id", "echo 1000")
    stand_in(
        checkout, "dpkg-query", 'for last; do :; done; case "$last" in nftables|runc) exit 1;; esac; echo installed'
    )
    stand_in(checkout, "apt-get", "echo must not run; exit 9")
    done = run(checkout, "tools/setup.sh", "test")
    assert done.returncode == 1
    assert "sudo apt-get install -y nftables runc\n" in done.stderr
    assert "must not run" not in done.stdout


def test_the_demo_needs_no_container_runtime(checkout: Path) -> None:
    stand_in(checkout, "id", "echo 1000")
    stand_in(checkout, "dpkg-query", "exit 1")
    done = run(checkout, "tools/setup.sh", "demo")
    assert "nftables" in done.stderr
    assert "containerd" not in done.stderr


def test_root_installs_what_is_missing_in_one_run(checkout: Path) -> None:
    stand_in(checkout, "id", "echo 0")
    stand_in(checkout, "dpkg-query", 'for last; do :; done; [ "$last" != runc ] || exit 1; echo installed')
    stand_in(checkout, "apt-get", f'echo "$@" >>{checkout}/calls; case "$*" in *install*) exit 5;; esac')
    done = run(checkout, "tools/setup.sh", "test")
    calls = (checkout / "calls").read_text().splitlines()
    assert len(calls) == 2
    assert calls[0].endswith("update")
    assert calls[1].endswith("install --no-install-recommends runc")
    assert done.returncode == 1, "the stand-in failed"
    assert "apt-get failed" in done.stderr


def test_no_usable_python_is_said(checkout: Path) -> None:
    stand_in(checkout, "old", "exit 1")
    script = checkout / "tools" / "setup.sh"
    script.write_text(script.read_text().replace("NEWEST_PYTHON=14", "NEWEST_PYTHON=10"))
    done = run(checkout, "tools/setup.sh", PYTHON=str(checkout / "bin" / "old"))
    assert done.returncode == 1
    assert "make setup PYTHON=/path/to/python3" in done.stderr


def test_an_unknown_word_is_refused(checkout: Path) -> None:
    done = run(checkout, "tools/setup.sh", "everything")
    assert done.returncode == 1
    assert "usage: tools/setup.sh [demo|test]" in done.stderr


@pytest.mark.parametrize(("status", "word"), [(77, "skipped"), (1, "FAILED")])
def test_a_machine_without_a_cluster_skips_that_stage_and_a_build_that_fails_does_not(
    checkout: Path, status: int, word: str
) -> None:
    (checkout / "tools" / "setup.sh").write_text("#!/bin/sh\n")
    script = f'case "$*" in *prepare_e2e*) exit {status};; *pytest*) echo must not run;; esac'
    stand_in(checkout, "python", script)
    done = run(checkout, "bash", "tools/run-tests.sh", "e2e")
    assert done.returncode == (0 if word == "skipped" else status)
    assert f"e2e           0 s  {word}" in done.stdout
    assert "must not run" not in done.stdout


@pytest.mark.parametrize(("script", "word", "status"), [("exit 0", "passed", 0), ("exit 3", "FAILED", 3)])
def test_a_stage_that_fails_ends_the_run_with_its_status(checkout: Path, script: str, word: str, status: int) -> None:
    (checkout / "tools" / "setup.sh").write_text(f"#!/bin/sh\n{script}\n")
    done = run(checkout, "bash", "tools/run-tests.sh", "fast")
    assert done.returncode == status
    assert f"setup         0 s  {word}" in done.stdout
    assert ("no tests yet" in done.stdout) == (status == 0)
