"""The command line of the self-managed flow against a real API server. No controllers run: tests play them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.manifests.conftest import ApiServer, api_server  # noqa: F401 - a fixture
from vpc_cni.cli import main
from vpc_cni.manifests import encode_yaml

DAEMON_SET = ("daemonset", "aws-node")
OBJECTS = (
    "pod/aws-node-x",
    "daemonset/aws-node",
    "configmap/amazon-vpc-cni",
    "serviceaccount/aws-node",
    "clusterrole/aws-node",
    "clusterrolebinding/aws-node",
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


class Operator:
    """Somebody with a kubeconfig, kubectl and the command line."""

    def __init__(self, server: ApiServer, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.server, self.folder, self._capsys = server, folder, capsys
        self.kubeconfig = folder / "kubeconfig"
        self.use_token("a-token-of-tests")

    def use_token(self, token: str) -> None:
        ca = self.server.folder / "certificates" / "apiserver.crt"
        cluster = {"server": f"https://127.0.0.1:{self.server.port}", "certificate-authority": str(ca)}
        document = {
            "current-context": "tests",
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "tests", "user": {"token": token}}],
        }
        self.kubeconfig.write_text(json.dumps(document))

    def run(self, *words: str) -> Outcome:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["self-managed", words[0], "--kubeconfig", str(self.kubeconfig), *words[1:]])
        printed = self._capsys.readouterr()
        return Outcome(int(ended.value.code or 0), printed.out, printed.err)

    def render(self, version: str, *words: str) -> str:
        """Return the text of `vpc-cni self-managed render` with the reference's images."""
        self._capsys.readouterr()
        with pytest.raises(SystemExit):
            main(["self-managed", "render", "--image-set=aws", "--region=us-west-2", "--version", version, *words])
        return self._capsys.readouterr().out

    def kubectl_apply(self, version: str, *words: str) -> str:
        """Install as the operators of the reference do: client-side apply of a manifest."""
        file = self.folder / "aws-k8s-cni.yaml"
        file.write_text(self.render(version, *words))
        return self.server.kubectl("apply", "-f", str(file)).stdout

    def daemon_set(self) -> dict[str, Any]:
        return self.server.get(*DAEMON_SET)

    def container(self, name: str = "aws-node") -> dict[str, Any]:
        spec = self.daemon_set()["spec"]["template"]["spec"]
        (found,) = [each for each in spec["initContainers"] + spec["containers"] if each["name"] == name]
        return dict(found)

    def env(self) -> dict[str, str]:
        return {each["name"]: each.get("value", "") for each in self.container()["env"]}

    def play_controller(self) -> None:
        """Report a roll-out that is done on the two nodes there are, for the generation after the next change."""
        status = {
            "observedGeneration": 1000,
            "desiredNumberScheduled": 2,
            "currentNumberScheduled": 2,
            "updatedNumberScheduled": 2,
            "numberAvailable": 2,
            "numberReady": 2,
            "numberMisscheduled": 0,
        }
        live = self.daemon_set()
        live["status"] = status
        file = self.folder / "status.json"
        file.write_text(json.dumps(live))
        path = "/apis/apps/v1/namespaces/kube-system/daemonsets/aws-node/status"
        self.server.kubectl("replace", f"--raw={path}", "-f", str(file))

    def add_pod_that_cannot_start(self, reason: str) -> None:
        """Make a pod of the DaemonSet, and report as a kubelet would that its container waits."""
        metadata = {"name": "aws-node-x", "namespace": "kube-system", "labels": {"k8s-app": "aws-node"}}
        containers = [{"name": "aws-node", "image": "a.example.com/b"}]
        spec = {"serviceAccountName": "aws-node", "automountServiceAccountToken": False, "containers": containers}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        file = self.folder / "pod.json"
        file.write_text(json.dumps(pod))
        self.server.kubectl("create", "-f", str(file))
        state = {"name": "aws-node", "image": "", "imageID": "", "ready": False, "restartCount": 0}
        pod["status"] = {"containerStatuses": [{**state, "state": {"waiting": {"reason": reason}}}]}
        file.write_text(json.dumps(pod))
        path = "/api/v1/namespaces/kube-system/pods/aws-node-x/status"
        self.server.kubectl("replace", f"--raw={path}", "-f", str(file))

    def replace(self, daemon_set: dict[str, Any]) -> None:
        file = self.folder / "edited.yaml"
        file.write_text(encode_yaml([daemon_set]))
        self.server.kubectl("replace", "-f", str(file))


@pytest.fixture
def operator(
    api_server: Any,  # noqa: F811 - the fixture imported above
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Operator]:
    """An operator whose cluster has nothing of the add-on yet."""
    monkeypatch.chdir(tmp_path)
    yield Operator(api_server, tmp_path, capsys)
    api_server.kubectl("delete", "--ignore-not-found", "--namespace=kube-system", "--now", *OBJECTS)
