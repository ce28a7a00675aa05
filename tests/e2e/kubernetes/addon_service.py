"""The add-on service as a process on this machine, and a shell with ``aws`` and ``kubectl`` for one cluster of it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from cluster_objects import kubectl, list_pods, wait_until
from cluster_operator import Operator, place_of

from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.addon import REGISTRY

REGION, ACCOUNT = "us-west-2", "111122223333"
CLUSTER, EKS_VERSION = "my-cluster", "1.26"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/AmazonEKSVPCCNIRole"
DESCRIBE = f"aws eks describe-addon --cluster-name {CLUSTER} --addon-name vpc-cni"
DELETE = f"aws eks delete-addon --cluster-name {CLUSTER} --addon-name vpc-cni"
UNDER_WAY = ("CREATING", "UPDATING", "DELETING")
# A setting that the add-on does not know, so it stays; without it kubelets look every ten seconds whether an agent is
# ready, and a roll-out takes as long for each node.
IMPATIENT = {
    "spec": {"template": {"spec": {"containers": [{"name": "aws-node", "readinessProbe": {"periodSeconds": 1}}]}}}
}
START_SECONDS, STOP_SECONDS, WORK_SECONDS = 30.0, 20.0, 90.0


class Customer(Operator):
    """Somebody with a shell in which plain ``aws eks`` speaks to the service, and ``kubectl`` to the cluster."""

    def __init__(self, lab: Lab, folder: Path, state: Path, url: str) -> None:
        super().__init__(lab, folder, place_of(lab))
        ((key, secret),) = json.loads((state / "access-keys.json").read_text()).items()
        self.url = url
        self.environment |= {
            "HOME": str(folder),
            "AWS_ENDPOINT_URL_EKS": url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_PAGER": "",
            "NO_PROXY": "127.0.0.1",
        }
        # Looks often, which would keep a core busy with the start of commands.
        self._eks = boto3.client(
            "eks",
            endpoint_url=url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(proxies={}),
        )

    def hurry(self) -> None:
        """Let kubelets look every second whether an agent is ready; rolls the DaemonSet."""
        self.must(f"kubectl patch daemonset aws-node -n kube-system --patch '{json.dumps(IMPATIENT)}'")

    def status(self) -> str:
        """Return the add-on's status; empty when there is no add-on."""
        try:
            return str(self._eks.describe_addon(clusterName=CLUSTER, addonName="vpc-cni")["addon"]["status"])
        except self._eks.exceptions.ResourceNotFoundException:
            return ""

    def addon(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.must(DESCRIBE))["addon"]
        return found

    def settled(self) -> dict[str, Any]:
        """Wait until no work on the add-on is under way; return the add-on."""
        wait_until(lambda: self.status() not in UNDER_WAY, "the end of the work on the add-on", WORK_SECONDS)
        return self.addon()

    def update(self, words: str) -> dict[str, Any]:
        """Run update-addon and wait; return the update."""
        accepted = json.loads(self.must(f"aws eks update-addon {words}"))["update"]
        self.settled()
        asked = f"aws eks describe-update --name {CLUSTER} --addon-name vpc-cni --update-id {accepted['id']}"
        ended: dict[str, Any] = json.loads(self.must(asked))["update"]
        return ended

    def delete(self, words: str = "") -> dict[str, Any]:
        """Run delete-addon; return its answer when the service knows no such add-on any more."""
        answer: dict[str, Any] = json.loads(self.must(f"{DELETE} {words}"))["addon"]
        wait_until(lambda: not self.status(), "the end of the add-on", WORK_SECONDS)
        return answer


@contextmanager
def serving(lab: Lab, folder: Path, account: str = ACCOUNT) -> Iterator[Customer]:
    """Start the service, register the lab's cluster, and return who uses both; afterwards both are as before."""
    state, log = folder / "state", folder / "service.log"
    command = [str(Path(sys.executable).with_name("vpc-cni")), "addons", "serve", "--state-folder", str(state)]
    command += ["--listen", "127.0.0.1:0", "--local", "127.0.0.1:0", "--region", REGION, "--account", account]
    command += ["--registry", REGISTRY, "--look-every", "1", "--degraded-after", "60", "--update-deadline", "90"]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    try:
        wait_until(
            lambda: "API " in log.read_text() or process.poll() is not None, "start of the service", START_SECONDS
        )
        lines = log.read_text().splitlines()
        url = next((line.split()[1] for line in lines if line.startswith("API ")), "")
        assert url, log.read_text()
        customer = Customer(lab, folder, state, url)
        config = lab.kubernetes.kubeconfig
        options = f"--kubeconfig {config} --state-folder {state}"
        customer.must(f"vpc-cni addons register-cluster {CLUSTER} {options} --eks-version {EKS_VERSION}")
        yield customer
        customer.must(f"vpc-cni addons unregister-cluster {CLUSTER} {options} --force --withdraw")
    finally:
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0, log.read_text()


def restore(lab: Lab, archive: str, *deployments: str) -> None:
    """Leave the lab as others expect it: with the DaemonSet that it makes itself, and without pods."""
    kubectl(lab, "delete", "daemonset", "aws-node", "-n=kube-system", "--ignore-not-found")  # it would roll by node
    lab.kubernetes.install(Path(archive))  # first: only then pods can end
    if deployments:
        kubectl(lab, "delete", "deployment", "--ignore-not-found", *deployments)
    wait_until(lambda: not list_pods(lab, "app"), "the end of the pods")
