"""The service as a process of its own, and a real API server as its cluster. No controllers run: tests play them."""

import base64
import itertools
import json
import multiprocessing
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from bench.addons.clusters import Simulation
from tests.contract.addons.server import forked
from tests.contract.manifests import conftest as bare
from tests.contract.manifests.conftest import ApiServer
from vpc_cni.addons.clusters import Vault
from vpc_cni.addons.model import ClusterRecord
from vpc_cni.addons.store import Store
from vpc_cni.cluster.login import Login

api_server = bare.api_server
REGION = "eu-west-1"
_READY_SECONDS = 30.0
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["vpc_cni.cli.addons"])
_numbers = itertools.count(1)


class Process:
    """``vpc-cni addons serve`` over a state folder, ready or dead."""

    def __init__(self, folder: Path, *words: str, crash_at: str = "") -> None:
        self.folder = folder
        command = ["addons", "serve", "--state-folder", str(folder), "--region", REGION]
        command += ["--listen", "127.0.0.1:0", "--local", "127.0.0.1:0", "--registry", "registry.example.com"]
        command += ["--roll-out-look", "0.1", *words]
        self.output = folder.parent / f"{folder.name}-{next(_numbers)}.log"
        self.process = FORKS.Process(target=forked.run, args=(command, crash_at, self.output))
        self.process.start()
        eventually(lambda: "ready" in self.lines or self.process.exitcode is not None, _READY_SECONDS)

    @property
    def lines(self) -> list[str]:
        return self.output.read_text().splitlines() if self.output.exists() else []

    @property
    def url(self) -> str:
        return next(line.split()[1] for line in self.lines if line.startswith("API"))

    @property
    def local_url(self) -> str:
        return next(line.split()[1] for line in self.lines if line.startswith("local"))

    def client(self, **options: Any) -> Any:
        ((key, secret),) = json.loads((self.folder / "access-keys.json").read_text()).items()
        return boto3.client(
            "eks",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
            **options,
        )

    def probe(self, path: str) -> tuple[int, str]:
        try:
            with _NO_PROXY.open(self.local_url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as err:
            return err.code, ""

    def kill(self) -> None:
        self.process.kill()
        self.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        self.process.join(30)
        assert self.process.exitcode is not None, "the service does not end"
        return self.process.exitcode


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start services; all of them end with the test."""
    started: list[Process] = []

    def run(*words: str, folder: str = "state", crash_at: str = "") -> Process:
        started.append(Process(tmp_path / folder, *words, crash_at=crash_at))
        return started[-1]

    yield run
    for each in started:
        if each.process.exitcode is None:
            each.kill()


@pytest.fixture
def kubeconfig(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A kubeconfig of an administrator of the cluster."""
    file, server = tmp_path / "kubeconfig", request.getfixturevalue("api_server")
    ca = server.folder / "certificates" / "apiserver.crt"
    document = {
        "current-context": "tests",
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "clusters": [
            {
                "name": "tests",
                "cluster": {"server": f"https://127.0.0.1:{server.port}", "certificate-authority": str(ca)},
            }
        ],
        "users": [{"name": "tests", "user": {"token": "a-token-of-tests"}}],
    }
    file.write_text(json.dumps(document))
    return file


@pytest.fixture
def register(kubeconfig: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``vpc-cni addons register-cluster``, with the administrator's token, which no controller could make."""
    token = tmp_path / "token"
    token.write_text("a-token-of-tests\n")

    def run(name: str, *words: str, folder: str = "state") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "vpc_cni.cli", "addons", "register-cluster", name]
        command += ["--state-folder", str(tmp_path / folder), "--kubeconfig", str(kubeconfig)]
        return subprocess.run(
            [*command, "--token-file", str(token), *words], capture_output=True, text=True, check=False, timeout=60
        )

    return run


def simulate(count: int, folder: Path) -> Simulation:
    """Start simulated API servers; their certificate is made in a folder."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2"]
    subject = ["-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    return Simulation(count, certificate, key)


def add_simulated(store: Store, vault: Vault, name: str, port: int, folder: Path) -> None:
    """Register a simulated API server."""
    authority = base64.b64encode((folder / "tls.crt").read_bytes()).decode()
    server = f"https://127.0.0.1:{port}"
    login = Login(server, authority, token="x", acts_as="eks:addon-manager")
    record = ClusterRecord(name, uuid.uuid4().hex, "1.29", server, authority, time.time())
    store.clusters.add(record, vault.seal(name, login))


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: it is not, in time.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)


def roll_out(server: ApiServer, nodes: int = 0, ready: int | None = None) -> None:
    """Play the DaemonSet controller: it has seen the latest change, and so many pods run, all unless told."""
    live = server.get("daemonset", "aws-node")
    available = nodes if ready is None else ready
    live["status"] = {
        "observedGeneration": live["metadata"]["generation"],
        "currentNumberScheduled": nodes,
        "desiredNumberScheduled": nodes,
        "updatedNumberScheduled": nodes,
        "numberMisscheduled": 0,
        "numberReady": available,
        "numberAvailable": available,
        "numberUnavailable": nodes - available,
    }
    file = server.folder / "status.json"
    file.write_text(json.dumps(live))
    server.kubectl(
        "replace", "--raw", "/apis/apps/v1/namespaces/kube-system/daemonsets/aws-node/status", "-f", str(file)
    )


def has_daemon_set(server: ApiServer) -> bool:
    return server.kubectl("get", "daemonset", "aws-node", "-n", "kube-system", check=False).returncode == 0
