"""A lab of an ordinary user, in a user namespace."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NOBODY = 65534


def as_nobody(folder, command, *words):
    return subprocess.run(
        [sys.executable, "-m", "vpc_cni.cli", "lab", command, "--name", "rootless", *words],
        capture_output=True,
        text=True,
        check=False,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        env={"PATH": os.environ["PATH"], "VPC_CNI_LAB_DIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.fixture
def folder(tmp_path):
    """Return a folder of the user's, where all folders above it may be entered."""
    for each in (tmp_path, *tmp_path.parents):
        if each.stat().st_uid == 0 and each.is_relative_to("/tmp/pytest-of-root"):
            each.chmod(0o755)
    os.chown(tmp_path, NOBODY, NOBODY)
    probe = subprocess.run(
        [sys.executable, "-c", "import vpc_cni.cli"], user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", check=False
    )
    if probe.returncode != 0:
        pytest.skip(f"uid {NOBODY} may not read {Path(__file__).parents[3]} or {sys.executable}")
    yield tmp_path
    as_nobody(tmp_path, "down")


def test_an_ordinary_user_has_a_whole_lab(folder):
    started = as_nobody(folder, "up", "--no-agents")
    if "do: " in started.stderr and "user_namespaces" in started.stderr:
        pytest.skip(started.stderr.strip())
    assert started.returncode == 0, started.stderr
    status = json.loads(as_nobody(folder, "status", "--json").stdout)
    assert os.stat(f"/proc/{lab_pid(folder)}").st_uid == NOBODY
    other = status["nodes"][1]["address"]
    reached = as_nobody(folder, "exec", "node-1", "--", "ping", "-c1", "-W2", other)
    assert reached.returncode == 0, reached.stdout + reached.stderr
    assert as_nobody(folder, "down").returncode == 0
    assert not (folder / "rootless").exists()


def lab_pid(folder):
    return json.loads((folder / "rootless" / "state.json").read_text())["pid"]
