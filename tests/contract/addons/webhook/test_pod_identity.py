"""Pods made on a real API server come out with the role of their service account."""

import base64
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.manifests.conftest import ApiServer, api_server, free_port  # noqa: F401 - a fixture
from vpc_cni.ec2 import Timing, connect_ec2, connect_metadata
from vpc_cni.errors import CloudError
from vpc_cni.lab.cloud import Cloud, CloudSettings, Trust
from vpc_cni.lab.cloud.running import RunningCloud

ROLE = "arn:aws:iam::111122223333:role/AmazonEKSVPCCNIRole"
# As the API server of the tests is started.
ISSUER = "https://tests.invalid"
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


def issue_token(server: ApiServer, folder: Path, account: str, namespace: str, audience: str) -> str:
    """Return a token as kubelet asks for one that it puts into a projected volume."""
    file = folder / "request.json"
    spec = {"audiences": [audience], "expirationSeconds": 86400}
    file.write_text(json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}))
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    answer = json.loads(server.kubectl("create", f"--raw={path}", "-f", str(file)).stdout)
    return str(answer["status"]["token"])


def wait_until_asked(server: ApiServer, folder: Path) -> None:
    """The API server reads of new webhooks with a delay of its own."""
    name = f"probe-{uuid.uuid4().hex[:8]}"
    make_account(server, name, role_arn=ROLE)
    for attempt in range(100):
        if "volumes" in make_pod(server, folder, f"{name}-{attempt}", name)["spec"]:
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
    claims = issue_token(api_server, folder, "tokens", "default", "sts.amazonaws.com").split(".")[1]
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert decoded["aud"] == ["sts.amazonaws.com"]
    assert (decoded["iss"], decoded["sub"]) == (ISSUER, "system:serviceaccount:default:tokens")


@pytest.fixture
def account() -> Iterator[RunningCloud]:
    with RunningCloud(Cloud(CloudSettings(), seed=7)) as started:
        yield started


@pytest.mark.usefixtures("webhook")
@pytest.mark.parametrize(("subject", "is_trusted"), [("system:serviceaccount:chain:*", True), ("somebody:else", False)])
def test_the_role_decides_which_credentials_the_agent_gets(
    api_server: ApiServer,  # noqa: F811 - the fixture imported above
    folder: Path,
    account: RunningCloud,
    subject: str,
    is_trusted: bool,
) -> None:
    """The pod's own environment, a token of this API server, and an account that knows the API server's keys."""
    keys = json.loads(api_server.kubectl("get", "--raw=/openid/v1/jwks").stdout)
    trust = Trust(ISSUER, ("sts.amazonaws.com",), (subject,))
    account.do(lambda cloud: cloud.providers.add(ISSUER, keys))
    role = account.do(lambda cloud: cloud.identities.create_role("cni", trust))
    name = f"agent-{str(is_trusted).lower()}"
    api_server.kubectl("create", "namespace", "chain", check=False)
    make_account(api_server, name, "chain", role_arn=role.arn)
    wait_until_asked(api_server, folder)
    pod = make_pod(api_server, folder, name, name, "chain")
    request = pod["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]
    token = folder / "token"
    token.write_text(issue_token(api_server, folder, name, "chain", request["audience"]))
    environ = env(pod["spec"]["containers"][0]) | {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_EC2_ENDPOINT": account.api_url,
        "AWS_ENDPOINT_URL_STS": account.api_url,
    }
    metadata = connect_metadata(environ, timing=Timing())
    access = connect_ec2(
        environ, region=environ["AWS_REGION"], metadata=metadata, http_timeout_seconds=5.0, timing=Timing()
    )
    ec2 = access.client
    if is_trusted:
        ec2.describe_subnets()
        assert account.do(lambda cloud: cloud.calls.recent[-1].role_name) == "cni"
    else:
        with pytest.raises(CloudError, match="sts:AssumeRoleWithWebIdentity"):
            ec2.describe_subnets()


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
