"""The programs of docs/lab.md work as they are printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[3] / "docs" / "lab.md"
PROGRAM = re.compile(r"<!-- file: (\S+) -->\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    """Return a folder outside the source tree with all programs of the document."""
    for name, text in PROGRAM.findall(DOCUMENT.read_text()):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_python_example_works(folder):
    ended = subprocess.run([sys.executable, "first_steps.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_an_outsiders_tests_pass_with_the_pytest_plugin(folder):
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout
