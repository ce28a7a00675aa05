"""Whose plugin is on the host: looked at again when it changes, named with a remedy."""

import os
from pathlib import Path

import pytest

from vpc_cni.agent.plugin_watch import PluginWatch
from vpc_cni.plugin import host_architecture, plugin_path


def put(directory: Path, content: bytes) -> None:
    """Install a program as init containers do: by rename."""
    staged = directory / ".staged"
    staged.write_bytes(content)
    os.replace(staged, directory / "aws-cni")


def test_a_folder_that_cannot_be_seen_says_nothing(tmp_path: Path) -> None:
    assert PluginWatch(tmp_path / "none").problem() == ""


def test_a_missing_plugin_is_named(tmp_path: Path) -> None:
    assert "there is no plugin aws-cni" in PluginWatch(tmp_path).problem()


@pytest.mark.parametrize("content", [b"", b"\x7fELF of another", bytes(5 << 20)], ids=["empty", "small", "large"])
def test_another_plugin_comes_and_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    ours = plugin_path(host_architecture()).read_bytes()
    watch = PluginWatch(tmp_path)
    put(tmp_path, ours)
    assert watch.problem() == ""
    put(tmp_path, content)
    for _ in range(3):
        assert "another implementation's" in watch.problem()
        assert "delete the aws-node pod" in watch.problem()
    assert len(caplog.records) == 1, "logged once"
    put(tmp_path, ours)
    assert watch.problem() == ""
