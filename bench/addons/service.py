"""A process of the add-on service with a store of its own, in which clusters are registered and have the add-on."""

import base64
import contextlib
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from bench.addons.load import Target, sign
from vpc_cni.addons.clusters import open_vault
from vpc_cni.addons.model import AddonRecord, AddonStatus, ClusterRecord, Operation, OperationKind
from vpc_cni.addons.states import End
from vpc_cni.addons.store import Store, sqlite_url
from vpc_cni.cluster.login import Login
from vpc_cni.errors import HostError, InternalError

REGION = "us-west-2"
VERSION, NEXT = "v1.16.0-eksbuild.1", "v1.16.2-eksbuild.1"
_STOP_SECONDS = 60


def name_of(index: int) -> str:
    return f"cluster-{index:03}"


class Service:
    """Runs while the context lasts.

    Args:
        state: a folder to be made.
        ports: of the clusters' API servers on loopback; index 0 is ``cluster-000``.
        certificate: of all of them; PEM.
    """

    def __init__(self, state: Path, ports: Sequence[int], certificate: Path) -> None:
        self._state = state
        self._count = len(ports)
        _fill_store(state, ports, certificate)
        command = [sys.executable, "-m", "vpc_cni.cli", "addons", "serve", "--state-folder", str(state)]
        command += ["--listen", "127.0.0.1:0", "--local", "127.0.0.1:0"]
        command += ["--region", REGION, "--registry", "r.example.com"]
        self._log = (state / "log").open("w")
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        self._url = self._wait_until_ready()
        ((key, secret),) = json.loads((state / "access-keys.json").read_text()).items()
        self._key = (key, secret)
        self._client: Any = boto3.client(
            "eks",
            endpoint_url=self._url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(proxies={}),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        # A second signal: tries on dead clusters need not be waited for.
        for patience in (1, _STOP_SECONDS):
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=patience)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def update(self, index: int) -> None:
        """Ask for another version on a cluster."""
        self._client.update_addon(
            clusterName=name_of(index), addonName="vpc-cni", addonVersion=NEXT, resolveConflicts="OVERWRITE"
        )

    def describe_addon_requests(self, count: int) -> Target:
        """Return signed requests of DescribeAddon, for each cluster in turn. They are valid for five minutes."""
        paths = (f"{self._url}/clusters/{name_of(number % self._count)}/addons/vpc-cni" for number in range(count))
        split = urlsplit(self._url)
        return Target(split.hostname or "", split.port or 0, tuple(sign(path, REGION, self._key) for path in paths))

    def _wait_until_ready(self) -> str:
        url = ""
        for line in self._process.stdout or ():
            url = line.split()[1] if line.startswith("API") else url
            if line.strip() == "ready":
                return url
        raise HostError(f"the add-on service does not start: {(self._state / 'log').read_text()[-500:]}")


def _fill_store(state: Path, ports: Sequence[int], certificate: Path) -> None:
    """Register clusters on these ports, with an add-on that is ACTIVE."""
    store, vault = Store(sqlite_url(state / "store.db")), open_vault(state / "seal.key")
    authority = base64.b64encode(certificate.read_bytes()).decode()
    for index, port in enumerate(ports):
        name, server, now = name_of(index), f"https://127.0.0.1:{port}", time.time()
        login = Login(server, authority, "a-token", acts_as="eks:addon-manager")
        record = ClusterRecord(name, uuid.uuid4().hex, "1.29", server, authority, now)
        store.clusters.add(record, vault.seal(name, login))
        addon = AddonRecord(name, "vpc-cni", str(uuid.uuid4()), VERSION, AddonStatus.CREATING, now, now)
        create = Operation(uuid.uuid4().hex, name, "vpc-cni", OperationKind.CREATE, VERSION, now)
        store.requests.accept_create(addon, create)
        lease = store.leases.claim("bench", 60, unreachable=False)
        if lease is None:
            raise InternalError("an operation was accepted, and is not there")
        store.leases.finish(lease, End.DONE)
    store.close()
