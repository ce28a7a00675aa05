"""Pods made on a real API server come out with the role of their service account."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.manifests.conftest import ApiServer, api_server, free_port  # noqa: F401 - a fixture

ROLE = "arn:aws:iam::111122223333:role/AmazonEKSVPCCNIRole"
TOKEN_FILE = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"


def kubeconfig(server: ApiServer, folder: Path) -> Path:
    file = folder / "kubeconfig"
    cluster = {
        "server": f"https://127.0.0.1:{server.port}",
        "certificate-authority": str(server.folder / "certificates" / "apiserver.crt"),
    }
    document = {
        "current-context": "tests",
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": {"token": "a-token-of-tests"}}],
    }
    file.write_text(json.dumps(document))
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("webhook")


@pytest.fixture(scope="module")
def webhook(api_server: ApiServer, folder: Path) -> Iterator[int]:  # noqa: F811 - the fixture imported above
    """A webhook as operators start it, and the API server told of it."""
    port, command = free_port(), [sys.executable, "-m", "vpc_cni.cli", "addons", "webhook"]
    prepared = subprocess.run(
        [*command, "prepare", "--host=127.0.0.1", f"--port={port}", f"--folder={folder}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (folder / "webhook.key").stat().st_mode & 0o077 == 0
    server = subprocess.Popen(
        [
            *(*command, "serve", f"--listen=127.0.0.1:{port}", "--region=us-west-2", f"--folder={folder}"),
            f"--kubeconfig={kubeconfig(api_server, folder)}",
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("ready")
        file = folder / "configuration.yaml"
        file.write_text(prepared.stdout)
        api_server.kubectl("apply", "-f", str(file))
        yield port
    finally:
        api_server.kubectl("delete", "mutatingwebhookconfiguration/pod-identity-webhook", "--ignore-not-found")
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=10) == 0


def make_account(server: ApiServer, name: str, namespace: str = "default", **annotations: str) -> None:
    server.kubectl("create", "serviceaccount", name, f"--namespace={namespace}")
    for key, value in annotations.items():
        words = (f"eks.amazonaws.com/{key.replace('_', '-')}={value}",)
        server.kubectl("annotate", f"serviceaccount/{name}", f"--namespace={namespace}", *words)


def make_pod(server: ApiServer, folder: Path, name: str, account: str, namespace: str = "default") -> dict[str, Any]:
    containers = [{"name": "a", "image": "a.example.com/b"}, {"name": "b", "image": "a.example.com/b"}]
    spec = {"serviceAccountName": account, "automountServiceAccountToken": False, "containers": containers}
    metadata = {"name": name, "namespace": namespace}
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
    server.kubectl("create", "-f", str(file))
    words = ("get", "pod", name, f"--namespace={namespace}", "--output=json")
    made: dict[str, Any] = json.loads(server.kubectl(*words).stdout)
    return made


def wait_until_asked(server: ApiServer, folder: Path) -> None:
    """The API server reads of new webhooks with a delay of its own."""
    make_account(server, "probe", role_arn=ROLE)
    for attempt in range(100):
        if "volumes" in make_pod(server, folder, f"probe-{attempt}", "probe")["spec"]:
            return
        time.sleep(0.1)
    pytest.fail("the API server does not ask the webhook")


def env(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container.get("env", ())}


def test_pods_come_out_with_the_role_of_their_account(
    api_server: ApiServer,  # noqa: F811 - the fixture imported above
    webhook: int,
    folder: Path,
) -> None:
    wait_until_asked(api_server, folder)
    api_server.kubectl("create", "namespace", "team")
    make_account(api_server, "worker", "team", role_arn=ROLE, audience="mine", token_expiration="3600")
    spec = make_pod(api_server, folder, "one", "worker", "team")["spec"]
    for container in spec["containers"]:
        assert env(container) == {
            "AWS_STS_REGIONAL_ENDPOINTS": "regional",
            "AWS_DEFAULT_REGION": "us-west-2",
            "AWS_REGION": "us-west-2",
            "AWS_ROLE_ARN": ROLE,
            "AWS_WEB_IDENTITY_TOKEN_FILE": TOKEN_FILE,
        }
    (volume,) = spec["volumes"]
    token = {"audience": "mine", "expirationSeconds": 3600, "path": "token"}
    assert volume["projected"]["sources"] == [{"serviceAccountToken": token}]
    # A role that was taken away a moment ago is not given to the next pod.
    api_server.kubectl("annotate", "serviceaccount/worker", "--namespace=team", "eks.amazonaws.com/role-arn-")
    assert "volumes" not in make_pod(api_server, folder, "two", "worker", "team")["spec"]


def test_the_api_server_issues_tokens_for_that_audience(
    api_server: ApiServer,  # noqa: F811 - the fixture imported above
    folder: Path,
) -> None:
    make_account(api_server, "tokens")
    file = folder / "request.json"
    spec = {"audiences": ["sts.amazonaws.com"], "expirationSeconds": 86400}
    file.write_text(json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}))
    path = "/api/v1/namespaces/default/serviceaccounts/tokens/token"
    answer = json.loads(api_server.kubectl("create", f"--raw={path}", "-f", str(file)).stdout)
    assert answer["spec"]["audiences"] == ["sts.amazonaws.com"]
    assert answer["status"]["token"].count(".") == 2


def test_a_silent_client_and_nonsense_hold_up_nobody(webhook: int, folder: Path) -> None:
    trust = ssl.create_default_context(cafile=str(folder / "webhook.crt"))
    with socket.create_connection(("127.0.0.1", webhook)), socket.create_connection(("127.0.0.1", webhook)) as noisy:
        noisy.sendall(b"\0" * 100)
        connection = http.client.HTTPSConnection("127.0.0.1", webhook, timeout=5, context=trust)
        for method, path, body, status in (
            ("GET", "/healthz", None, 200),
            ("POST", "/mutate", b"{}", 400),
            ("POST", "/other", b"{}", 404),
            ("GET", "/mutate", None, 404),
        ):
            connection.request(method, path, body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
        connection.close()
