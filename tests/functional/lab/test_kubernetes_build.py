"""The build of Kubernetes with sources that are quickly built: make, its failure, its end, and who waits for it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vpc_cni.errors import HostError
from vpc_cni.lab.kubernetes.tooling import build
from vpc_cni.lab.kubernetes.tooling.changes import RECORD, encode_record
from vpc_cni.lab.kubernetes.tooling.finder import COMPONENTS, missing_components

GOOD = """
all:
\t@echo k8s.io/kubernetes/cmd/kubelet
\t@test -n "$(WHAT)" && mkdir -p _output/bin
\t@for name in $(notdir $(WHAT)); do printf '#!/bin/sh\\n' > _output/bin/$$name; chmod 755 _output/bin/$$name; done
"""
ENDLESS = """
all:
\t@echo $$$$ > pid; exec sleep 600
"""
RUN = """
import os, signal, sys
from pathlib import Path
from vpc_cni.lab.kubernetes.tooling import build
from vpc_cni.lab.kubernetes.tooling.preparation import locked
signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(1))
root = Path(sys.argv[1])
with locked(root / "lock", print) as lock:
    build.build(build.BuildPaths(root / "build"), print, lock)
"""


def prepared(folder: Path, makefile: str) -> build.BuildPaths:
    """Return a build whose sources and compiler have been fetched."""
    paths = build.BuildPaths(folder)
    paths.source.mkdir(parents=True)
    (paths.toolchain / build.TOOLCHAIN / "bin").mkdir(parents=True)
    (paths.source / "Makefile").write_text(makefile)
    (paths.source / RECORD).write_text(encode_record())
    return paths


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_make_is_asked_for_every_component(tmp_path: Path) -> None:
    paths = prepared(tmp_path / "build", GOOD)
    said: list[str] = []
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    output = build.build(paths, said.append, lock)
    os.close(lock)
    assert missing_components(output) == []
    assert len(list(output.iterdir())) == len(COMPONENTS)
    assert build.describe_log(paths.log.read_text()).startswith("1 of about")


def test_a_failed_make_names_its_log(tmp_path: Path) -> None:
    paths = prepared(tmp_path / "build", "all:\n\t@echo why; exit 3\n")
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    with pytest.raises(HostError, match=r"build\.log"):
        build.build(paths, print, lock)
    os.close(lock)
    assert "why" in paths.log.read_text()


@pytest.mark.parametrize(("number", "compiler_ends"), [(signal.SIGTERM, True), (signal.SIGKILL, False)])
def test_an_ended_build_can_be_continued(tmp_path: Path, number: int, compiler_ends: bool) -> None:
    paths = prepared(tmp_path / "build", ENDLESS)
    builder = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)])
    pid_file = paths.source / "pid"
    wait_until(lambda: pid_file.exists() and pid_file.read_text().strip())
    compiler = int(pid_file.read_text())
    builder.send_signal(number)
    builder.wait()
    if compiler_ends:
        wait_until(lambda: not Path(f"/proc/{compiler}").exists())
    (paths.source / "Makefile").write_text(GOOD)
    following = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    if not compiler_ends:
        # A kill cannot be noticed: the compiler goes on, and the next one waits for it.
        assert following.stdout is not None
        assert "another process" in following.stdout.readline()
        os.kill(compiler, signal.SIGKILL)
    following.communicate(timeout=20)
    assert following.returncode == 0
    assert missing_components(paths.output) == []
