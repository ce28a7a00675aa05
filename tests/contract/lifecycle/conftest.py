"""``vpc-cni addon`` against the add-on service as a process, and a real API server as its cluster.

No controllers run: a thread plays those that report a roll-out.
"""

import http.client
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.addons.server.conftest import REGION, Process
from tests.contract.manifests.conftest import ApiServer, leaving_nothing_on
from vpc_cni.cli import main

CLUSTER = "my-cluster"
_OBJECTS = (
    "daemonset/aws-node",
    "configmap/amazon-vpc-cni",
    "serviceaccount/aws-node",
    "clusterrole/aws-node",
    "clusterrolebinding/aws-node",
    "customresourcedefinition/eniconfigs.crd.k8s.amazonaws.com",
    "customresourcedefinition/policyendpoints.networking.k8s.aws",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one command line did."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Site:
    """A service with one registered cluster, which is a real API server."""

    server: ApiServer
    service: Process
    kubeconfig: Path


class Controller:
    """Reports each roll-out of the DaemonSet as done on two nodes, while it lasts."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._trust = ssl.create_default_context(cafile=str(server.folder / "certificates" / "apiserver.crt"))
        self._stopping = threading.Event()
        self.paused = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(0.05):
            if not self.paused.is_set():
                self._report()

    def _report(self) -> None:
        status, live = self._call("GET", "")
        generation = live.get("metadata", {}).get("generation", 0)
        if status != 200 or live.get("status", {}).get("observedGeneration", 0) >= generation:
            return
        live["status"] = {
            "observedGeneration": generation,
            **{f"{each}NumberScheduled": 2 for each in ("desired", "current", "updated")},
            **{f"number{each}": 2 for each in ("Available", "Ready")},
            "numberMisscheduled": 0,
        }
        self._call("PUT", "/status", json.dumps(live))

    def _call(self, method: str, below: str, body: str | None = None) -> tuple[int, Any]:
        """Call the API server; kubectl would cost more than all else in these tests."""
        path = f"/apis/apps/v1/namespaces/kube-system/daemonsets/aws-node{below}"
        connection = http.client.HTTPSConnection("127.0.0.1", self._server.port, context=self._trust, timeout=10)
        headers = {"Authorization": "Bearer a-token-of-tests", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()


class Operator:
    """Somebody with a kubeconfig, credentials, kubectl and the command line."""

    def __init__(self, site: Site, folder: Path, controller: Controller, capsys: pytest.CaptureFixture[str]) -> None:
        self.site, self.folder, self.controller, self._capsys = site, folder, controller, capsys
        self.eks = site.service.client()

    def run(self, *words: str) -> Outcome:
        """Run ``vpc-cni addon`` in this process."""
        access = ("--cluster-name", CLUSTER, "--endpoint-url", self.site.service.url, "--region", REGION)
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["addon", words[0], *access, *words[1:]])
        printed = self._capsys.readouterr()
        return Outcome(int(ended.value.code or 0), printed.out, printed.err)

    def output(self) -> str:
        """Return what was printed since the last look."""
        return self._capsys.readouterr().out

    def kubectl(self, *words: str) -> str:
        return self.site.server.kubectl(*words).stdout

    def wait_for_update(self, identifier: str) -> None:
        """Wait until an update has ended well that was asked for without the command line."""
        looks = threading.Event()
        for _ in range(300):
            found = self.eks.describe_update(name=CLUSTER, addonName="vpc-cni", updateId=identifier)["update"]
            if found["status"] != "InProgress":
                break
            looks.wait(0.1)
        assert found["status"] == "Successful", found

    def set_env(self, **values: str) -> None:
        """Change variables as people do."""
        pairs = (f"{name}={value}" for name, value in values.items())
        self.kubectl("set", "env", "daemonset/aws-node", "-n", "kube-system", "-c", "aws-node", *pairs)

    def env(self) -> dict[str, str]:
        spec = self.site.server.get("daemonset", "aws-node")["spec"]["template"]["spec"]
        (agent,) = [each for each in spec["containers"] if each["name"] == "aws-node"]
        return {each["name"]: each.get("value", "") for each in agent["env"]}


@pytest.fixture(scope="package")
def site(api_server_of_all: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all modules: its processes take longer to start than most tests."""
    folder = tmp_path_factory.mktemp("site")
    with leaving_nothing_on(api_server_of_all) as server:
        kubeconfig = _write_kubeconfig(server, folder)
        service = Process(folder / "state")
        try:
            _register(folder, kubeconfig)
            yield Site(server, service, kubeconfig)
        finally:
            service.kill()


def _write_kubeconfig(server: ApiServer, folder: Path) -> Path:
    ca = server.folder / "certificates" / "apiserver.crt"
    cluster = {"server": f"https://127.0.0.1:{server.port}", "certificate-authority": str(ca)}
    document = {
        "current-context": "tests",
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": {"token": "a-token-of-tests"}}],
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(document))
    return file


def _register(folder: Path, kubeconfig: Path) -> None:
    token = folder / "token"
    token.write_text("a-token-of-tests\n")
    words = ["--state-folder", str(folder / "state"), "--kubeconfig", str(kubeconfig), "--token-file", str(token)]
    command = [sys.executable, "-m", "vpc_cni.cli", "addons", "register-cluster", CLUSTER, "--eks-version", "1.29"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def operator(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Operator]:
    """An operator whose cluster has nothing of the add-on yet."""
    ((key, secret),) = json.loads((site.service.folder / "access-keys.json").read_text()).items()
    for name, value in {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "KUBECONFIG": str(site.kubeconfig),
        "XDG_STATE_HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    controller = Controller(site.server)
    found = Operator(site, tmp_path, controller, capsys)
    yield found
    _remove(found)
    controller.stop()


def _remove(operator: Operator) -> None:
    if "vpc-cni" in operator.eks.list_addons(clusterName=CLUSTER)["addons"]:
        operator.eks.delete_addon(clusterName=CLUSTER, addonName="vpc-cni", preserve=True)
        operator.eks.get_waiter("addon_deleted").wait(
            clusterName=CLUSTER, addonName="vpc-cni", WaiterConfig={"Delay": 0.2, "MaxAttempts": 150}
        )
    # Who preserves the add-on keeps its associations.
    for each in operator.eks.list_pod_identity_associations(clusterName=CLUSTER)["associations"]:
        operator.eks.delete_pod_identity_association(clusterName=CLUSTER, associationId=each["associationId"])
    operator.kubectl("delete", "--ignore-not-found", "--namespace=kube-system", "--now", *_OBJECTS)
