"""A Kubernetes API server with its etcd and nothing else, on loopback: what it accepts, real clusters accept."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.contract.manifests.leftovers import Contents
from vpc_cni.kube import ClusterAccess
from vpc_cni.lab.kubernetes.tooling import find_binaries

_TOKEN = "a-token-of-tests"
_AGENT_TOKEN = "a-token-of-the-agent"
_READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ApiServer:
    """A running API server, and kubectl to talk to it."""

    port: int
    folder: Path
    kubectl_path: str
    stack: ExitStack

    def kubectl(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.kubectl_path, *self._access(), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"HOME": str(self.folder), "PATH": os.environ["PATH"]},
        )
        assert done.returncode == 0 or not check, done.stderr
        return done

    def start_kubectl(self, *words: str) -> "subprocess.Popen[str]":
        """Start a kubectl that ends with the fixture of the server, or when the server does."""
        command = [self.kubectl_path, *self._access(), *words]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={"HOME": str(self.folder), "PATH": os.environ["PATH"]}
        )
        self.stack.callback(process.wait, timeout=30)
        self.stack.callback(process.kill)
        return process

    def agent_access(self) -> ClusterAccess:
        """Return how the agent reaches this server as its service account."""
        return ClusterAccess(
            server=f"https://127.0.0.1:{self.port}",
            ca_file=self.folder / "certificates" / "apiserver.crt",
            token=_AGENT_TOKEN,
        )

    def _access(self) -> tuple[str, ...]:
        return (f"--server=https://127.0.0.1:{self.port}", f"--token={_TOKEN}", "--insecure-skip-tls-verify")

    def apply(self, manifests: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Apply as a manager of its own that owns every field it names."""
        file = self.folder / "manifests.yaml"
        file.write_text(manifests)
        return self.kubectl(
            "apply", "--server-side", "--force-conflicts", "--field-manager=tests", "-f", str(file), *words
        )

    def get(self, kind: str, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(
            self.kubectl("get", kind, name, "--namespace=kube-system", "--output=json").stdout
        )
        return document


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def api_server(api_server_of_all: ApiServer) -> Iterator[ApiServer]:
    """The API server of all modules; whatever this one leaves there is gone before the next."""
    with leaving_nothing_on(api_server_of_all) as server:
        yield server


@contextmanager
def leaving_nothing_on(server: ApiServer) -> Iterator[ApiServer]:
    """Remove what was made on a server meanwhile, and end what was started beside it."""
    contents = Contents(server.port, str(server.folder / "certificates" / "apiserver.crt"), _TOKEN)
    try:
        before = contents.paths()
        with ExitStack() as stack:
            yield replace(server, stack=stack)
        contents.reduce_to(before)
    finally:
        contents.close()


@contextmanager
def running_api_server(folder: Path) -> Iterator[ApiServer]:
    """Run an API server while the context lasts; the test is skipped where there is none."""
    binaries, etcd, kubectl = find_binaries(), shutil.which("etcd"), shutil.which("kubectl")
    if binaries is None or etcd is None or kubectl is None:
        pytest.skip("no API server, etcd or kubectl here: vpc-cni lab kubernetes prepare gets them")
    port, etcd_port, peer_port = free_port(), free_port(), free_port()
    store = f"http://127.0.0.1:{etcd_port}"
    key = folder / "accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)  # noqa: S607
    (folder / "tokens.csv").write_text(
        f"{_TOKEN},tests,tests,system:masters\n"
        f"{_AGENT_TOKEN},system:serviceaccount:kube-system:aws-node,aws-node,system:serviceaccounts\n"
    )
    with ExitStack() as stack:
        start(
            stack,
            folder / "etcd.log",
            etcd,
            {
                "data-dir": folder / "etcd",
                "unsafe-no-fsync": "true",
                "listen-client-urls": store,
                "advertise-client-urls": store,
                "listen-peer-urls": f"http://127.0.0.1:{peer_port}",
            },
        )
        start(
            stack,
            folder / "api.log",
            binaries.path("kube-apiserver"),
            {
                "etcd-servers": store,
                "secure-port": port,
                "bind-address": "127.0.0.1",
                "cert-dir": folder / "certificates",
                "allow-privileged": "true",
                "token-auth-file": folder / "tokens.csv",
                "authorization-mode": "RBAC",
                "service-cluster-ip-range": "10.96.0.0/16",
                "service-account-issuer": "https://tests.invalid",
                "service-account-key-file": key,
                "service-account-signing-key-file": key,
            },
        )
        server = ApiServer(port, folder, kubectl, stack)
        wait_until_ready(server)
        yield server


def start(stack: ExitStack, log: Path, program: str | Path, options: Mapping[str, object]) -> None:
    """Start a program that ends with the stack."""
    command = [str(program), *(f"--{name}={value}" for name, value in options.items())]
    process = subprocess.Popen(command, stdout=log.open("wb"), stderr=subprocess.STDOUT)
    stack.callback(process.wait, timeout=30)
    stack.callback(process.kill)


def wait_until_ready(server: ApiServer) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        done = server.kubectl("get", "--raw=/readyz", check=False)
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            log = (server.folder / "api.log").read_text(errors="replace")
            pytest.fail(f"the API server is not ready: {done.stderr}\n{log[-2000:]}")
        time.sleep(0.2)
