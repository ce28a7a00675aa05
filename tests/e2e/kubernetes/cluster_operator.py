"""Somebody with a shell and kubectl, and the add-on as files for kubectl: what is typed and what comes of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cluster_objects import kubectl

from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.addon import REGISTRY
from vpc_cni.lab.kubernetes.images.renaming import rename_images

OLD = "v1.12.6-eksbuild.2"
IMAGES = ("amazon-k8s-cni", "amazon-k8s-cni-init")
# Where the agent finds the lab's EC2 and STS, and what the lab was made with.
PLACE = ("AWS_REGION", "AWS_EC2_ENDPOINT", "AWS_ENDPOINT_URL_STS", "CLUSTER_NAME", "IP_COOLDOWN_PERIOD")
PLACE_OF_LAB = (*PLACE, "VPC_CNI_LEAK_CLEANUP_SECONDS")

# As documented for operators, letter by letter.
SHOW_VERSION = "kubectl describe daemonset aws-node --namespace kube-system | grep amazon-k8s-cni: | cut -d : -f 3"
SAVE = "kubectl get daemonset aws-node -n kube-system -o yaml > aws-k8s-cni-old.yaml"
APPLY = "kubectl apply -f aws-k8s-cni.yaml"


class Outcome:
    """What a command line did."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Operator:
    """Somebody with a shell, a kubeconfig and a folder for files."""

    def __init__(self, lab: Lab, folder: Path, env: dict[str, str]) -> None:
        self.lab, self.folder, self.place = lab, folder, env
        self.environment = {
            **lab.kubernetes.environment(),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def shell(self, line: str, **environment: str) -> Outcome:
        """Type a line."""
        command = ["/bin/sh", "-c", line]
        env = {**self.environment, **environment}
        return Outcome(
            subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=120, check=False)
        )

    def must(self, line: str) -> str:
        done = self.shell(line)
        assert done.status == 0, f"{line}: {done.err}"
        return done.out

    def run(self, words: str, **environment: str) -> Outcome:
        return self.shell(f"vpc-cni self-managed {words}", **environment)

    def render(self, version: str) -> str:
        """Return the words that render a version for this cluster."""
        return f"render --version {version} --registry {REGISTRY} " + " ".join(
            f"--env {name}={value}" for name, value in self.place.items()
        )

    def install_old(self) -> None:
        """Apply the old version by kubectl from a file; nodes have it later (``wait``)."""
        self.must(f"vpc-cni self-managed {self.render(OLD)} > old.yaml")
        self.must("kubectl apply -f old.yaml")

    def wait(self) -> None:
        self.must("kubectl rollout status daemonset/aws-node --namespace kube-system --timeout=90s")

    def daemon_set(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.must("kubectl get daemonset aws-node -n kube-system -o json"))
        return found

    def env(self) -> dict[str, str]:
        return agent_env(self.daemon_set())


def agent_env(daemon_set: dict[str, Any]) -> dict[str, str]:
    (agent,) = (each for each in daemon_set["spec"]["template"]["spec"]["containers"] if each["name"] == "aws-node")
    return {each["name"]: each.get("value", "") for each in agent["env"]}


def name_images(archive: str, folder: Path, version: str) -> Path:
    """Return an archive whose images have the names that the manifests of a version ask for."""
    target = folder / f"{version}.tar"
    rename_images(Path(archive), target, {name: f"{REGISTRY}/{name}:{version}" for name in IMAGES})
    return target


def place_of(lab: Lab) -> dict[str, str]:
    """Return the variables of the live DaemonSet that say where the lab is."""
    live = agent_env(json.loads(kubectl(lab, "get", "daemonset", "aws-node", "-n=kube-system", "-o=json")))
    return {name: live[name] for name in PLACE_OF_LAB if name in live}
