"""Which cluster a command reaches, and what it says when there is none."""

import json
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.cluster.client import Cluster, Place, find_place, read_server
from vpc_cni.errors import ConfigurationError, KubernetesError, KubernetesUnreachableError
from vpc_cni.self_managed.flow import DAEMON_SET

HOME = Path("/home/someone")


def kubeconfig(folder: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None, **document: Any) -> Path:
    file = folder / "config"
    cluster = {"server": "https://127.0.0.1:9", **(cluster or {})}
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


@pytest.mark.parametrize(
    ("cluster", "user", "named"),
    [
        ({"proxy-url": "http://proxy.example.com:3128"}, {"token": "t"}, "proxy-url of the cluster"),
        ({"invented-later": True}, {"token": "t"}, "invented-later of the cluster"),
        ({}, {"token": "t", "as": "system:admin"}, "as of the user"),
        ({}, {"token": "t", "as-uid": "7"}, "as-uid of the user"),
        ({}, {"token": "t", "as-groups": ["system:masters"]}, "as-groups of the user"),
        ({}, {"token": "t", "as-user-extra": {"a": ["b"]}}, "as-user-extra of the user"),
        ({}, {"auth-provider": {"name": "gcp"}}, "auth-provider of the user"),
        (
            {},
            {
                "exec": {
                    "apiVersion": "client.authentication.k8s.io/v1beta1",
                    "command": "x",
                    "provideClusterInfo": True,
                }
            },
            "provideClusterInfo of the exec",
        ),
        (
            {"insecure-skip-tls-verify": True, "certificate-authority-data": "Q0E="},
            {"token": "t"},
            "exclude each other",
        ),
    ],
    ids=lambda each: next(iter(each), "") if isinstance(each, dict) else "",
)
def test_a_member_that_would_be_ignored_is_refused_by_name(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], named: str
) -> None:
    place = Place(kubeconfig(tmp_path, user, cluster))
    for opening in (Cluster, read_server):
        with pytest.raises(ConfigurationError, match=named) as refused:
            opening(place)
        assert refused.value.hint


def test_members_that_do_not_matter_and_void_ones_are_fine(tmp_path: Path) -> None:
    cluster = {"disable-compression": True, "proxy-url": "", "extensions": [{"name": "x", "extension": {"a": 1}}]}
    user = {"token": "t", "as": "", "as-groups": [], "extensions": []}
    Cluster(Place(kubeconfig(tmp_path, user, cluster))).close()


def test_contexts_that_are_not_used_may_hold_what_they_like(tmp_path: Path) -> None:
    clusters = [
        {"name": "c", "cluster": {"server": "https://127.0.0.1:9"}},
        {"name": "other", "cluster": {"server": "https://127.0.0.1:9", "proxy-url": "http://proxy"}},
    ]
    Cluster(Place(kubeconfig(tmp_path, {"token": "t"}, clusters=clusters))).close()


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    users = [{"name": "u", "user": {"token": "t"}}, {"name": "u", "user": {"token": "other"}}]
    with pytest.raises(ConfigurationError, match="2 users named 'u'"):
        Cluster(Place(kubeconfig(tmp_path, {}, users=users)))


def test_an_authority_in_the_file_wins_over_one_that_it_names(tmp_path: Path) -> None:
    """As for kubectl: what is named may be of another cluster, or gone."""
    cluster = {"certificate-authority": "gone.crt", "certificate-authority-data": "Q0E="}
    assert read_server(Place(kubeconfig(tmp_path, {"token": "t"}, cluster))).certificate_authority == "Q0E="
    with pytest.raises(ConfigurationError, match="cannot be used"):
        read_server(Place(kubeconfig(tmp_path, {"token": "t"}, {"certificate-authority": "gone.crt"})))


def test_a_token_file_is_looked_for_beside_the_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "token").write_text("t")
    cluster = Cluster(Place(kubeconfig(tmp_path, {"tokenFile": "token"})))
    with pytest.raises(KubernetesUnreachableError):
        cluster.version()
    cluster.close()
