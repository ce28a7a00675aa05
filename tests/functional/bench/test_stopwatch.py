"""The stopwatch in the place of real programs: it changes nothing about them and notes every call."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from bench.stopwatch import Stopwatch, build_stopwatch

CALLS = 20


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_stopwatch(tmp_path_factory.mktemp("stopwatch"))


def timed_script(folder: Path, program: Path, script: str) -> Stopwatch:
    """Put a timed program ``plugin`` into a folder."""
    plugin = folder / "plugin"
    plugin.write_text(f"#!/bin/sh\n{script}\n")
    plugin.chmod(0o755)
    watch = Stopwatch(folder, "plugin")
    watch.insert(program)
    return watch


def start(folder: Path, container: str, command: str = "ADD") -> "subprocess.Popen[str]":
    environment = {"PATH": os.defpath, "CNI_COMMAND": command, "CNI_CONTAINERID": container}
    return subprocess.Popen(
        [str(folder / "plugin")], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_streams_environment_and_status_are_the_plugins(tmp_path: Path, program: Path) -> None:
    watch = timed_script(tmp_path, program, 'echo "$CNI_COMMAND $(cat)"; exit 7')
    process = start(tmp_path, "c1")
    assert process.communicate("given")[0] == "ADD given\n"
    assert process.returncode == 7
    (stamp,) = watch.read()
    assert (stamp.command, stamp.container, stamp.status) == ("ADD", "c1", 7)


def test_the_time_is_that_of_the_plugin(tmp_path: Path, program: Path) -> None:
    watch = timed_script(tmp_path, program, "read line")
    process = start(tmp_path, "c1")
    before = time.monotonic_ns()
    process.communicate("go on\n")
    after = time.monotonic_ns()
    (stamp,) = watch.read()
    assert stamp.started_ns < stamp.ended_ns <= after
    assert stamp.ended_ns >= before


def test_calls_side_by_side_have_a_line_each(tmp_path: Path, program: Path) -> None:
    watch = timed_script(tmp_path, program, "read line")
    processes = [start(tmp_path, f"c{number}") for number in range(CALLS)]
    for process in processes:
        process.communicate("go on\n")
    assert sorted(stamp.container for stamp in watch.read()) == sorted(f"c{number}" for number in range(CALLS))


def test_a_plugin_dies_with_the_stopwatch_that_its_runtime_kills(tmp_path: Path, program: Path) -> None:
    watch = timed_script(tmp_path, program, "echo up; exec sleep 60")
    process = start(tmp_path, "c1")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.kill()
    # End of file: nobody has the pipe any more.
    assert process.communicate(timeout=10)[0] == ""
    assert watch.read() == []


def test_a_plugin_that_is_killed_is_noted_as_the_shell_would(tmp_path: Path, program: Path) -> None:
    watch = timed_script(tmp_path, program, "kill -9 $$")
    process = start(tmp_path, "c1", "DEL")
    process.communicate()
    (stamp,) = watch.read()
    assert process.returncode == stamp.status == 128 + signal.SIGKILL
    assert stamp.command == "DEL"


def test_what_a_link_leads_to_is_timed_and_left_alone(tmp_path: Path, program: Path) -> None:
    true = shutil.which("true")
    assert true is not None
    (tmp_path / "plugin").symlink_to(true)
    Stopwatch(tmp_path, "plugin").insert(program)
    process = start(tmp_path, "c1")
    process.communicate()
    assert process.returncode == 0
    assert not (tmp_path / "plugin").is_symlink()
    assert Path(true).read_bytes() == (tmp_path / "plugin.timed").read_bytes()
