"""Where the API server is: from a pod's environment and from kubeconfig files."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.errors import ConfigurationError
from vpc_cni.kube import find_access, load_kubeconfig

Json = dict[str, Any]
IN_CLUSTER = {"KUBERNETES_SERVICE_HOST": "172.20.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def account(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_text("ca")
    (tmp_path / "namespace").write_text("kube-system")
    return tmp_path


def config(cluster: Json, user: Json) -> Json:
    return {
        "clusters": [{"name": "c", "cluster": {"server": "https://api:6443", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


def written(folder: Path, document: Json) -> Path:
    path = folder / "config"
    path.write_text(json.dumps(document))
    return path


def test_outside_a_cluster_there_is_none(account: Path) -> None:
    assert find_access({}, account=account) is None


@pytest.mark.parametrize(
    ("environ", "endpoint", "server"),
    [
        (IN_CLUSTER, "", "https://172.20.0.1:443"),
        ({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}, "", "https://[fd00::1]:6443"),
        (IN_CLUSTER, "https://api.example:8443", "https://api.example:8443"),
        (IN_CLUSTER, "api.example", "https://api.example"),
        ({}, "https://api.example/", "https://api.example"),
    ],
)
def test_a_pod_finds_its_api_server(account: Path, environ: dict[str, str], endpoint: str, server: str) -> None:
    access = find_access(environ, endpoint=endpoint, account=account)
    assert access is not None
    assert access.server == server
    assert (access.ca_file, access.token_file) == (account / "ca.crt", account / "token")
    assert access.namespace == "kube-system"


@pytest.mark.parametrize("endpoint", ["http://api", "https://api/path", "https://api:many"])
def test_an_endpoint_that_is_no_api_server_is_refused(account: Path, endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="CLUSTER_ENDPOINT"):
        find_access(IN_CLUSTER, endpoint=endpoint, account=account)


def test_a_pod_without_a_token_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="automountServiceAccountToken"):
        find_access(IN_CLUSTER, account=tmp_path)


def test_a_kubeconfig_with_embedded_certificates(tmp_path: Path) -> None:
    def data(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    document = config(
        {"certificate-authority-data": data("CA")},
        {"client-certificate-data": data("CERT"), "client-key-data": data("KEY")},
    )
    access = load_kubeconfig(written(tmp_path, document))
    assert (access.server, access.ca_data, access.certificate, access.key) == (
        "https://api:6443",
        "CA",
        b"CERT",
        b"KEY",
    )


def test_a_kubeconfig_with_files_beside_it(tmp_path: Path) -> None:
    for name in ("ca.pem", "token"):
        (tmp_path / name).write_text(name)
    document = config({"certificate-authority": "ca.pem", "tls-server-name": "kubernetes"}, {"tokenFile": "token"})
    access = load_kubeconfig(written(tmp_path, document))
    assert (access.ca_data, access.token_file, access.server_name) == ("ca.pem", tmp_path / "token", "kubernetes")


@pytest.mark.parametrize(
    ("cluster", "user", "name"),
    [
        ({}, {"exec": {"command": "aws"}}, "exec"),
        ({}, {"auth-provider": {"name": "gcp"}}, "auth-provider"),
        ({}, {"username": "me", "password": "x"}, "username"),
        ({}, {"as": "root"}, "as"),
        ({"insecure-skip-tls-verify": True}, {"token": "t"}, "insecure-skip-tls-verify"),
        ({"proxy-url": "http://p"}, {"token": "t"}, "proxy-url"),
        ({"certificate-authority": "missing.pem"}, {"token": "t"}, "certificate-authority"),
        ({"certificate-authority-data": "%%%"}, {"token": "t"}, "certificate-authority"),
        ({"server": "http://api"}, {"token": "t"}, "no API server"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(tmp_path: Path, cluster: Json, user: Json, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load_kubeconfig(written(tmp_path, config(cluster, user)))


def test_yaml_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("apiVersion: v1\nkind: Config\n")
    with pytest.raises(ConfigurationError, match="kubectl config view --raw --minify --flatten -o json"):
        load_kubeconfig(path)


def test_a_context_that_names_nothing_is_refused(tmp_path: Path) -> None:
    document = {**config({}, {}), "current-context": "elsewhere"}
    with pytest.raises(ConfigurationError, match="elsewhere"):
        load_kubeconfig(written(tmp_path, document))
    with pytest.raises(ConfigurationError, match="No such file"):
        load_kubeconfig(tmp_path / "absent")
