"""The whole service: registering clusters, the life of an add-on through boto3, health, rights, probes, stopping."""

import base64
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.contract.addons.server.conftest import ApiServer, Process, eventually, has_daemon_set, roll_out

Start = Callable[..., Process]
Register = Callable[..., "subprocess.CompletedProcess[str]"]
VERSION = "v1.16.2-eksbuild.1"
TARGET = {"clusterName": "prod", "addonName": "vpc-cni"}
QUICK = ("--look-every", "1", "--degraded-after", "1")


def health(eks: Any) -> tuple[str, list[str]]:
    addon = eks.describe_addon(**TARGET)["addon"]
    return addon["status"], [issue["code"] for issue in addon["health"]["issues"]]


def gone(eks: Any) -> bool:
    try:
        eks.describe_addon(**TARGET)
    except ClientError as err:
        return bool(err.response["Error"]["Code"] == "ResourceNotFoundException")
    return False


def test_the_life_of_an_addon(api_server: ApiServer, start: Start, register: Register) -> None:
    done = register("prod", "--eks-version", "1.29")
    assert done.returncode == 0, done.stderr
    assert "warning: version 1.29 is shown, but the API server is 1.20" in done.stderr
    service = start(*QUICK)
    eks = service.client()
    assert eks.describe_cluster(name="prod")["cluster"]["version"] == "1.29"
    assert eks.create_addon(**TARGET, addonVersion=VERSION)["addon"]["status"] == "CREATING"
    eventually(lambda: has_daemon_set(api_server))
    path = "/apis/apps/v1/namespaces/kube-system/daemonsets/aws-node"
    raw = json.loads(api_server.kubectl("get", "--raw", path).stdout)
    owners = {each["manager"] for each in raw["metadata"]["managedFields"]}
    assert owners == {"eks"}
    assert health(eks) == ("CREATING", [])
    roll_out(api_server, nodes=2)
    eventually(lambda: health(eks) == ("ACTIVE", []))

    # Health comes and goes with the pods.
    roll_out(api_server, nodes=2, ready=1)
    eventually(lambda: health(eks) == ("DEGRADED", ["InsufficientNumberOfReplicas"]))
    roll_out(api_server, nodes=2)
    eventually(lambda: health(eks) == ("ACTIVE", []))

    # The service has the rights of eks:addon-manager, and no others.
    api_server.kubectl("delete", "clusterrolebinding", "eks:addon-cluster-admin")
    eventually(lambda: health(eks) == ("DEGRADED", ["AccessDenied"]))
    (issue,) = eks.describe_addon(**TARGET)["addon"]["health"]["issues"]
    assert 'User "eks:addon-manager" cannot' in issue["message"]
    update = eks.update_addon(**TARGET, addonVersion="v1.16.0-eksbuild.1")["update"]["id"]
    eventually(lambda: health(eks)[0] == "UPDATE_FAILED")
    found = eks.describe_update(name="prod", addonName="vpc-cni", updateId=update)["update"]
    assert (found["status"], found["errors"][0]["errorCode"]) == ("Failed", "AccessDenied")

    assert register("prod", "--eks-version", "1.29", "--replace").returncode == 0, "makes the binding anew"
    eks.delete_addon(**TARGET)
    eventually(lambda: gone(eks))
    assert not has_daemon_set(api_server)
    metrics = service.probe("/metrics")[1]
    for line in ('operations_total{end="DONE",kind="create"} 1.0', 'operations_total{end="REFUSED",kind="update"} 1.0'):
        assert f"vpc_cni_addons_{line}" in metrics
    assert service.stop() == 0


def test_an_update_that_is_not_ready_in_time_fails_and_heals(
    api_server: ApiServer, start: Start, register: Register
) -> None:
    assert register("prod", "--eks-version", "1.29").returncode == 0
    service = start(*QUICK, "--update-deadline", "2")
    eks = service.client()
    eks.create_addon(**TARGET, addonVersion=VERSION)
    eventually(lambda: health(eks) == ("DEGRADED", ["InsufficientNumberOfReplicas"]))
    roll_out(api_server, nodes=1)
    eventually(lambda: health(eks) == ("ACTIVE", []))
    eks.delete_addon(**TARGET, preserve=True)
    eventually(lambda: gone(eks))
    assert has_daemon_set(api_server)
    api_server.kubectl("delete", "daemonset", "aws-node", "--namespace", "kube-system")


def test_registration_grants_one_right_and_waits_for_a_token(
    api_server: ApiServer, kubeconfig: Path, register: Register, tmp_path: Path
) -> None:
    # Without a controller manager nobody makes the token: the command says what to do instead.
    words = ["addons", "register-cluster", "other", "--state-folder", str(tmp_path / "state")]
    process = subprocess.Popen(
        [sys.executable, "-m", "vpc_cni.cli", *words, "--kubeconfig", str(kubeconfig)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    token = "a-token-of-the-agent"
    eventually(
        lambda: (
            api_server.kubectl("get", "secret", "vpc-cni-addons-token", "-n", "kube-system", check=False).returncode
            == 0
        )
    )
    role = json.loads(api_server.kubectl("get", "clusterrole", "vpc-cni-addons", "--output=json").stdout)
    assert role["rules"] == [
        {"apiGroups": [""], "resourceNames": ["eks:addon-manager"], "resources": ["users"], "verbs": ["impersonate"]}
    ]
    # The test plays the token controller, with a token of an account that has no rights here.
    patch = json.dumps({"data": {"token": base64.b64encode(token.encode()).decode()}})
    api_server.kubectl("patch", "secret", "vpc-cni-addons-token", "-n", "kube-system", "--patch", patch)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert 'cannot impersonate resource "users"' in errors
    assert register("other").returncode == 0
    again = register("other")
    assert (again.returncode, "already" in again.stderr) == (4, True), again.stderr


def test_secrets_are_kept_for_the_owner_alone_and_sealed(start: Start, register: Register, tmp_path: Path) -> None:
    assert register("prod").returncode == 0
    service = start()
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "state").iterdir() if each.is_file()}
    assert {"store.db", "seal.key", "access-keys.json"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    for file in (tmp_path / "state").iterdir():
        assert b"a-token-of-tests" not in file.read_bytes()
    ((_key, secret),) = json.loads((tmp_path / "state" / "access-keys.json").read_text()).items()
    assert f"secret access key {secret}" in service.lines
    assert service.stop() == 0
    again = start()
    assert secret not in "\n".join(again.lines), "shown once"
    assert again.client().list_clusters()["clusters"] == ["prod"]


def test_wrong_keys_are_refused(start: Start) -> None:
    service = start()
    eks = boto3.client(
        "eks", endpoint_url=service.url, region_name="eu-west-1", aws_access_key_id="X", aws_secret_access_key="Y"
    )
    with pytest.raises(ClientError) as refused:
        eks.list_clusters()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_probes_tell_life_and_readiness(start: Start) -> None:
    service = start()
    assert [service.probe(path)[0] for path in ("/livez", "/readyz", "/metrics", "/other")] == [200, 200, 200, 404]


def test_the_api_speaks_tls_with_a_certificate(start: Start, tmp_path: Path) -> None:
    key, certificate = tmp_path / "tls.key", tmp_path / "tls.crt"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", *subject]
    subprocess.run(command, check=True, capture_output=True)
    service = start("--tls-cert", str(certificate), "--tls-key", str(key))
    assert service.url.startswith("https://127.0.0.1:")
    assert service.client(verify=str(certificate)).list_clusters()["clusters"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--listen", "nowhere"), "no HOST:PORT"),
        (("--tls-cert", "/none"), "go together"),
        (("--store", "mysql://x"), "not supported"),
        (("--account", "12"), "12 digits"),
        (("--log-level", "loud"), "--log-level"),
        (("--tls-cert", "/none", "--tls-key", "/none"), "name PEM files"),
        (("--seal-key", "/"), "choose another --seal-key"),
        (("--access-keys", "/"), "choose another --access-keys"),
        (("--state-folder", "/proc/none"), "choose another --state-folder"),
        (("--store", "postgresql://u:hunter2@127.0.0.1:1/none"), "check host, database, user and password"),
        (("--listen", "host.invalid:1"), "choose another --listen"),
    ],
)
def test_a_service_that_cannot_start_says_why(start: Start, words: tuple[str, ...], message: str) -> None:
    service = start(*words)
    assert service.wait() in (1, 2)
    said = service.output.read_text()
    assert message in said
    assert ("Traceback" in said, "hunter2" in said) == (False, False)
    assert len([line for line in service.lines if line.startswith(("error: ", "  do: "))]) <= 2


def test_two_services_on_one_port_or_one_file(start: Start) -> None:
    first = start()
    port = first.url.rsplit(":", 1)[1]
    other = start("--listen", f"127.0.0.1:{port}")
    assert other.wait() == 1
    assert "choose another --listen" in other.output.read_text()
    # On the same file, with ports of their own, both serve.
    both = (first, start())
    assert [each.probe("/readyz")[0] for each in both] == [200, 200]


def test_a_wrong_folder_does_not_look_like_a_service_without_clusters(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vpc_cni.cli", "addons", "list-clusters", "--state-folder", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "there is no store" in done.stderr) == (1, True)
    assert not (tmp_path / "none").exists()


def test_a_cluster_is_forgotten_with_its_addons_only_when_told(
    api_server: ApiServer, start: Start, register: Register, tmp_path: Path
) -> None:
    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "vpc_cni.cli", "addons", *words, "--state-folder", str(tmp_path / "state")]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert register("prod", "--eks-version", "1.29").returncode == 0
    eks = start().client()
    eks.create_addon(**TARGET, addonVersion=VERSION)
    (listed,) = json.loads(run("list-clusters", "--json").stdout)
    assert (listed["name"], listed["version"]) == ("prod", "1.29")
    refused = run("unregister-cluster", "prod")
    assert (refused.returncode, "add-on vpc-cni" in refused.stderr) == (4, True)
    assert run("unregister-cluster", "prod", "--force").returncode == 0
    assert eks.list_clusters()["clusters"] == []
    api_server.kubectl("delete", "daemonset", "aws-node", "-n", "kube-system", check=False)
