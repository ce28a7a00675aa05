"""What signals and changed files do to a running service."""

import json
import os
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.contract.addons.server.conftest import REGION, Process, eventually
from vpc_cni.addons.clusters import open_vault
from vpc_cni.addons.model import ClusterRecord
from vpc_cni.addons.store import Store, sqlite_url
from vpc_cni.cluster.login import Login

Start = Callable[..., Process]
VERSION = "v1.16.2-eksbuild.1"


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """An API server that is connected to, and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        yield listener


@pytest.fixture
def busy(silent: socket.socket, start: Start, tmp_path: Path) -> Iterator[Process]:
    """A service in the middle of a try on that cluster."""
    state, server = tmp_path / "state", f"https://127.0.0.1:{silent.getsockname()[1]}"
    store, vault = Store(sqlite_url(state / "store.db")), open_vault(state / "seal.key")
    record = ClusterRecord("prod", uuid.uuid4().hex, "1.29", server, "", time.time())
    store.clusters.add(record, vault.seal("prod", Login(server, "", token="x", acts_as="eks:addon-manager")))
    store.close()
    service = start()
    service.client().create_addon(clusterName="prod", addonName="vpc-cni", addonVersion=VERSION)
    connection, _ = silent.accept()
    with connection:
        yield service


def test_the_first_signal_waits_for_running_work_and_the_second_does_not(busy: Process, start: Start) -> None:
    busy.process.terminate()
    eventually(lambda: "stopping" in busy.lines)
    assert busy.process.exitcode is None, "a try is under way"
    busy.process.terminate()
    assert busy.wait() == 128 + signal.SIGTERM
    assert "ending at once" in busy.output.read_text()
    again = start().client().describe_addon(clusterName="prod", addonName="vpc-cni")
    assert again["addon"]["status"] == "CREATING", "goes on at the next start"


def lists_clusters(service: Process, key: str) -> bool:
    eks = boto3.client(
        "eks",
        endpoint_url=service.url,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=f"secret of {key}",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    try:
        eks.list_clusters()
    except ClientError as err:
        if err.response["ResponseMetadata"]["HTTPStatusCode"] == 403:
            return False
        raise
    return True


def write_keys(service: Process, *keys: str) -> None:
    file = service.folder / "access-keys.json"
    fresh = file.with_suffix(".fresh")
    fresh.touch(0o600)
    fresh.write_text(json.dumps({key: f"secret of {key}" for key in keys}))
    fresh.replace(file)


def test_keys_change_while_the_service_runs(start: Start) -> None:
    service = start()
    write_keys(service, "OLD", "NEW")
    eventually(lambda: lists_clusters(service, "NEW"))
    assert lists_clusters(service, "OLD")
    write_keys(service, "NEW")
    eventually(lambda: not lists_clusters(service, "OLD"))
    assert lists_clusters(service, "NEW")
    (service.folder / "access-keys.json").write_text("a mistake")
    eventually(lambda: "keys of before are valid" in service.output.read_text())
    assert lists_clusters(service, "NEW")


def test_a_hang_up_reads_the_keys_again_and_ends_nothing(start: Start) -> None:
    service = start()
    assert service.process.pid is not None
    os.kill(service.process.pid, signal.SIGHUP)
    eventually(lambda: "access keys read again" in service.output.read_text())
    assert service.probe("/livez")[0] == 200
