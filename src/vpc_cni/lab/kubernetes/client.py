"""Speak with the Kubernetes of a running lab, from the caller's side."""

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from vpc_cni.errors import CallerError
from vpc_cni.lab.kubernetes.installer import DEFAULT_ARCHIVE
from vpc_cni.lab.kubernetes.tooling.programs import SEARCH_PATH, require_program

KUBECTL_SECONDS = 60.0


class LabKubernetes:
    """The cluster of one lab.

    Args:
        call: runs a control operation of the lab.
    """

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    @property
    def status(self) -> dict[str, Any]:
        """The part of `lab status --json` that is about Kubernetes.

        Raises:
            CallerError: the lab has none.
        """
        found: dict[str, Any] | None = self._call("status")["kubernetes"]
        if found is None:
            raise CallerError("the lab has no Kubernetes", hint="start it with `vpc-cni lab up --kubernetes`")
        return found

    @property
    def kubeconfig(self) -> Path:
        """A file with which any client on this machine is the cluster's administrator."""
        return Path(self.status["kubeconfig"])

    def kubectl(
        self, *arguments: str, stdin: str | None = None, timeout_seconds: float = KUBECTL_SECONDS
    ) -> CompletedProcess[str]:
        """Run kubectl as the administrator and return its output as text; any exit status is fine."""
        return subprocess.run(
            [str(require_program("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )

    def load(self, *archives: Path) -> None:
        """Import archives of images (``docker save``, OCI) on every node, and on those that join later."""
        self._call("kubernetes_load", archives=[str(Path(archive).absolute()) for archive in archives])

    def install(self, archive: Path = DEFAULT_ARCHIVE, version: str = "") -> str:
        """Install the add-on as its DaemonSet, or update it; return its version when every node serves with it.

        Args:
            archive: what `make image` builds.
            version: for example ``v1.16.2-eksbuild.1``, which is then the images' tag; empty for the newest.

        Raises:
            CallerError: no such archive or version.
            HostError: the roll-out did not end in time.
        """
        installed: str = self._call("kubernetes_install", archive=str(Path(archive).absolute()), version=version)
        return installed

    def give_pod_roles(self) -> None:
        """Let pods that are made from now on have the IAM roles of their service accounts, as on EKS.

        Raises:
            HostError: the webhook does not start.
        """
        self._call("kubernetes_pod_roles")

    def switch_off(self, node: str) -> None:
        """End containerd, kubelet, kube-proxy and all containers of a node at once, as a power cut does.

        The node's network and the agent of the lab stay.
        """
        self._call("kubernetes_switch", node=node, on=False)

    def switch_on(self, node: str) -> None:
        """Start a node that is off; its images and pods are as they were."""
        self._call("kubernetes_switch", node=node, on=True)

    def stop(self, program: str) -> None:
        """Stop a program of the control plane: ``kube-apiserver``, ``etcd`` and so on."""
        self._call("kubernetes_program", name=program, on=False)

    def start(self, program: str) -> None:
        """Start a program of the control plane again; returns when an API server is ready."""
        self._call("kubernetes_program", name=program, on=True)

    def run(self, node: str, command: Sequence[str], timeout_seconds: float = 30.0) -> CompletedProcess[str]:
        """Run a program on a node, in all its namespaces, and return its output; any exit status is fine."""
        return subprocess.run(
            self.inside(node, command), capture_output=True, text=True, timeout=timeout_seconds, check=False
        )

    def inside(self, node: str, command: Sequence[str]) -> list[str]:
        """Return the command line that runs a program on a node, in all its namespaces.

        Raises:
            CallerError: there is no such node, or it is off.
        """
        for each in self.status["nodes"]:
            if each["name"] == node and each["init_pid"] is not None:
                enter = [str(require_program("nsenter")), f"--target={each['init_pid']}", "--all"]
                return [*enter, "/usr/bin/env", f"PATH={each['programs_dir']}:{SEARCH_PATH}", *command]
        raise CallerError(f'there is no running Kubernetes node "{node}"')

    def environment(self) -> dict[str, str]:
        """Return this process's environment with which kubectl and other clients use the cluster."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
