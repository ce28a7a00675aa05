"""Which cluster a command reaches, and what it says when there is none."""

import json
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.cluster.client import Cluster, Place, find_place
from vpc_cni.errors import ConfigurationError, KubernetesError, KubernetesUnreachableError
from vpc_cni.self_managed.flow import DAEMON_SET

HOME = Path("/home/someone")


def kubeconfig(folder: Path, user: dict[str, Any], **document: Any) -> Path:
    file = folder / "config"
    cluster = {"server": "https://127.0.0.1:9"}
    contexts = [{"name": "here", "context": {"cluster": "c", "user": "u"}}]
    text = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "contexts": contexts,
        "users": [{"name": "u", "user": user}],
    }
    file.write_text(json.dumps({"current-context": "here", **text, **document}))
    return file


@pytest.mark.parametrize(
    ("environ", "option", "expected"),
    [
        ({}, "", HOME / ".kube" / "config"),
        ({"KUBECONFIG": "/a"}, "", Path("/a")),
        ({"KUBECONFIG": "/a"}, "/b", Path("/b")),
        ({"KUBECONFIG": "/a:/c"}, "/b", Path("/b")),
    ],
)
def test_the_option_wins_over_the_environment(environ: dict[str, str], option: str, expected: Path) -> None:
    assert find_place(environ, HOME, kubeconfig=option) == Place(expected)


def test_several_files_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="several files"):
        find_place({"KUBECONFIG": "/a:/b"}, HOME)


@pytest.mark.parametrize(
    "text", ["", "no: {yaml", "[]", "{}", '{"clusters": [], "contexts": [], "current-context": "x"}']
)
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=str(file)):
        Cluster(Place(file))


def test_a_missing_file_and_a_missing_context_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        Cluster(Place(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="there"):
        Cluster(Place(kubeconfig(tmp_path, {"token": "t"}), "there"))


def test_a_server_that_does_not_answer_is_unreachable(tmp_path: Path) -> None:
    cluster = Cluster(Place(kubeconfig(tmp_path, {"token": "t"})))
    with pytest.raises(KubernetesUnreachableError, match="read DaemonSet aws-node"):
        cluster.get(DAEMON_SET)
    with pytest.raises(KubernetesUnreachableError):
        cluster.version()
    cluster.close()


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/program", "/bin/true"])
def test_a_program_that_gets_no_token_is_an_error_that_says_so(tmp_path: Path, program: str) -> None:
    command = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": program}
    cluster = Cluster(Place(kubeconfig(tmp_path, {"exec": command})))
    with pytest.raises((ConfigurationError, KubernetesError), match="cannot read DaemonSet aws-node"):
        cluster.get(DAEMON_SET)
    cluster.close()
