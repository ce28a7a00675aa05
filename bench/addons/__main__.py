"""``python -m bench.addons``: the figures of docs/addons-operations.md."""

import asyncio
import base64
import json
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from bench.addons.clusters import BlackHole, Simulation, closed_port
from bench.addons.load import measure, percentile, sign
from vpc_cni.addons.clusters import open_vault
from vpc_cni.addons.model import AddonRecord, AddonStatus, ClusterRecord, Operation, OperationKind
from vpc_cni.addons.states import End
from vpc_cni.addons.store import Store, sqlite_url
from vpc_cni.cluster.login import Login

CLUSTERS, DEAD, REGION = 200, 10, "us-west-2"
A_SECOND, SECONDS, HEALTHY_UPDATES = 100.0, 30, 20
VERSION, NEXT = "v1.16.0-eksbuild.1", "v1.16.2-eksbuild.1"


def main() -> int:
    """Measure with all clusters alive, then with some dead; print, and tell by the status if a bar is missed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-addons.")))
        certificate, key = _make_certificate(folder)
        simulation = Simulation(CLUSTERS, certificate, key)
        stack.callback(simulation.stop)
        ports = list(simulation.ports)
        _prepare(folder / "alive", ports, certificate)
        alive, _ = _run(folder / "alive", simulation)
        holes = [BlackHole() for _ in range(DEAD // 2)]
        for hole in holes:
            stack.callback(hole.close)
        ports[:DEAD] = [*(hole.port for hole in holes), *(closed_port() for _ in range(DEAD - len(holes)))]
        _prepare(folder / "dead", ports, certificate)
        dead, starts = _run(folder / "dead", simulation)
    return _tell(alive, dead, starts)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _tell(alive: list[float], dead: list[float], starts: list[float]) -> int:
    p99, p99_dead, slowest = percentile(alive, 0.99), percentile(dead, 0.99), max(starts)
    for name, values in (("all alive", alive), (f"{DEAD} dead", dead)):
        middle, high = percentile(values, 0.5) * 1e3, percentile(values, 0.99) * 1e3
        say(f"DescribeAddon, {A_SECOND:.0f}/s, {CLUSTERS} clusters, {name}: p50 {middle:.1f} ms, p99 {high:.1f} ms")
    say(f"updates on healthy clusters start after {percentile(starts, 0.5):.2f} s, at most {slowest:.2f} s")
    return 0 if p99_dead <= 0.060 and p99_dead <= 1.5 * p99 and slowest <= 1.0 else 1


def _run(state: Path, simulation: Simulation) -> tuple[list[float], list[float]]:
    """Return latencies of DescribeAddon, and how long updates on healthy clusters took to start."""
    command = [sys.executable, "-m", "vpc_cni.cli", "addons", "serve", "--state-folder", str(state)]
    command += ["--listen", "127.0.0.1:0", "--local", "127.0.0.1:0", "--region", REGION, "--registry", "r.example.com"]
    with (
        (state / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as service,
    ):
        try:
            return _measure(service, state, simulation)
        finally:
            service.terminate()
            service.wait(timeout=30)


def _measure(service: Any, state: Path, simulation: Simulation) -> tuple[list[float], list[float]]:
    url = ""
    for line in service.stdout:
        url = line.split()[1] if line.startswith("API") else url
        if line.strip() == "ready":
            break
    ((key, secret),) = json.loads((state / "access-keys.json").read_text()).items()
    eks = boto3.client(
        "eks",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(proxies={}),
    )
    time.sleep(2)
    # The same work in both runs: on the first clusters, dead or not, all at once; on others one after the other.
    for index in range(DEAD):
        _update(eks, index)
    starts = [_start_of_update(eks, simulation, DEAD + index) for index in range(HEALTHY_UPDATES)]
    requests = [
        sign(f"{url}/clusters/{_name(number % CLUSTERS)}/addons/vpc-cni", REGION, (key, secret))
        for number in range(int(A_SECOND * SECONDS))
    ]
    split = urlsplit(url)
    return asyncio.run(measure(split.hostname or "", split.port or 0, requests, A_SECOND)), starts


def _start_of_update(eks: Any, simulation: Simulation, index: int) -> float:
    simulation.forget_writes()
    asked = time.monotonic()
    _update(eks, index)
    while not simulation.first_write(index):
        if time.monotonic() - asked > 60:
            raise RuntimeError(f"the update on {_name(index)} does not start")
        time.sleep(0.002)
    return simulation.first_write(index) - asked


def _update(eks: Any, index: int) -> None:
    eks.update_addon(clusterName=_name(index), addonName="vpc-cni", addonVersion=NEXT, resolveConflicts="OVERWRITE")


def _name(index: int) -> str:
    return f"cluster-{index:03}"


def _prepare(state: Path, ports: list[int], certificate: Path) -> None:
    """Register clusters on these ports, with an add-on that is ACTIVE, in a new store."""
    store, vault = Store(sqlite_url(state / "store.db")), open_vault(state / "seal.key")
    authority = base64.b64encode(certificate.read_bytes()).decode()
    for index, port in enumerate(ports):
        name, server, now = _name(index), f"https://127.0.0.1:{port}", time.time()
        login = Login(server, authority, "a-token", acts_as="eks:addon-manager")
        record = ClusterRecord(name, uuid.uuid4().hex, "1.29", server, authority, now)
        store.clusters.add(record, vault.seal(name, login))
        addon = AddonRecord(name, "vpc-cni", str(uuid.uuid4()), VERSION, AddonStatus.CREATING, now, now)
        store.requests.accept_create(
            addon, Operation(uuid.uuid4().hex, name, "vpc-cni", OperationKind.CREATE, VERSION, now)
        )
        lease = store.leases.claim("bench", 60, unreachable=False)
        if lease is None:
            raise RuntimeError("nothing to claim")
        store.leases.finish(lease, End.DONE)
    store.close()


def _make_certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "tls.crt", folder / "tls.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=bench"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return certificate, key


if __name__ == "__main__":
    sys.exit(main())
