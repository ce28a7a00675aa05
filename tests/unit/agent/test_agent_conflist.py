import json
from pathlib import Path

import pytest

from vpc_cni.agent.conflist import CONFLIST_NAME, ConflistOptions, render_conflist, write_conflist
from vpc_cni.errors import HostError

OPTIONS = ConflistOptions("eni", 9001, Path("/run/node/vpc-cni.sock"), "/var/log/p.log", "DEBUG")


def plugin_types(text: str) -> list[str]:
    return [plugin["type"] for plugin in json.loads(text)["plugins"]]


def test_the_first_plugin_is_ours_with_the_reference_fields_as_text() -> None:
    conflist = json.loads(render_conflist(OPTIONS))
    first = conflist["plugins"][0]
    assert (conflist["cniVersion"], conflist["name"]) == ("0.4.0", "aws-cni")
    assert (first["type"], first["mtu"], first["vethPrefix"]) == ("aws-cni", "9001", "eni")
    assert first["agentSocket"] == "/run/node/vpc-cni.sock"


def test_optional_plugins_are_chained_only_when_asked_for() -> None:
    assert plugin_types(render_conflist(OPTIONS)) == ["aws-cni", "portmap"]
    options = ConflistOptions("eni", 9001, Path("/s"), "", "", bandwidth=True, disable_pod_v6=True)
    assert plugin_types(render_conflist(options)) == ["aws-cni", "portmap", "bandwidth", "tuning"]


def test_the_conflist_appears_whole_and_readable(tmp_path: Path) -> None:
    path = write_conflist(tmp_path / "net.d", render_conflist(OPTIONS))
    assert path.name == CONFLIST_NAME
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in path.parent.iterdir()] == [CONFLIST_NAME]


def test_an_equal_conflist_is_left_untouched(tmp_path: Path) -> None:
    text = render_conflist(OPTIONS)
    before = write_conflist(tmp_path, text).stat()
    assert write_conflist(tmp_path, text).stat().st_ino == before.st_ino
    assert write_conflist(tmp_path, text + " ").stat().st_ino != before.st_ino


def test_an_unwritable_folder_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="HOST_CNI_CONFDIR_PATH"):
        write_conflist(tmp_path / "file", "{}")
