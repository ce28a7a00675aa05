"""SIGKILL at each step of create, update and delete: resumed, one outcome, nothing twice, nothing lost."""

import contextlib
import random
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from tests.contract.addons.server.conftest import ApiServer, Process, eventually, has_daemon_set, roll_out

Start = Callable[..., Process]
Register = Callable[..., "subprocess.CompletedProcess[str]"]
OLD, NEW = "v1.16.0-eksbuild.1", "v1.16.2-eksbuild.1"
# As many objects as a version has. Applying begins with the first each time, deleting goes on with what is left.
OBJECTS = [f"object-written:{number}" for number in range(1, 7)]
APPLYING = ["claimed", *OBJECTS, "objects-applied", "applied-noted", "looked", "released"]
REMOVING = ["claimed", *["object-written:1"] * 5, "objects-removed"]
RANDOM_KILLS = 18
TARGET = {"clusterName": "prod", "addonName": "vpc-cni"}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class Campaign:
    """Services that die one after the other over the same state, and what their clients see."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self.kills = 0

    def ask_and_die(self, step: str, ask: Callable[[Any], Any]) -> None:
        """Send a request to a service that dies at a step; ask again, as clients do, one that lives."""
        service = self._start("--update-deadline", "600", crash_at=step)
        # It may die before it answers. What it had accepted goes on all the same.
        with contextlib.suppress(BotoCoreError):
            ask(service.client())
        self._died(service)

    def die(self, step: str) -> None:
        """Let a service resume, and die at a step."""
        self._died(self._start("--update-deadline", "600", crash_at=step))

    def die_at_random(self, seconds: float) -> None:
        service = self._start("--update-deadline", "600")
        time.sleep(seconds)
        service.kill()
        self.kills += 1

    def live(self) -> Process:
        return self._start("--update-deadline", "600")

    def _died(self, service: Process) -> None:
        assert service.wait() == -signal.SIGKILL
        self.kills += 1


@pytest.fixture
def campaign(start: Start, register: Register) -> Campaign:
    done = register("prod", "--eks-version", "1.29")
    assert done.returncode == 0, done.stderr
    return Campaign(start)


def status_of(eks: Any) -> str:
    try:
        return str(eks.describe_addon(**TARGET)["addon"]["status"])
    except eks.exceptions.ResourceNotFoundException:
        return "gone"


def generation(api_server: ApiServer) -> int:
    return int(api_server.get("daemonset", "aws-node")["metadata"]["generation"])


def test_fifty_kills_change_nothing_about_the_outcome(campaign: Campaign, api_server: ApiServer) -> None:
    created(campaign, api_server)
    update = updated(campaign, api_server)
    killed_at_random(campaign, api_server, update)
    deleted(campaign, api_server)
    assert campaign.kills >= 50


def created(campaign: Campaign, api_server: ApiServer) -> None:
    def ask(eks: Any) -> Any:
        return eks.create_addon(**TARGET, addonVersion=OLD, clientRequestToken="create-token")["addon"]

    campaign.ask_and_die(APPLYING[0], ask)
    for step in APPLYING[1:]:
        campaign.die(step)
    first = generation(api_server)
    roll_out(api_server)
    campaign.die("ended")
    service = campaign.live()
    eks = service.client()
    assert status_of(eks) == "ACTIVE"
    # The same request again is the same add-on, though it is long done.
    assert ask(eks)["addonArn"] == eks.describe_addon(**TARGET)["addon"]["addonArn"]
    assert generation(api_server) == first == 1, "the DaemonSet was changed more than once"
    assert eks.list_updates(name="prod", addonName="vpc-cni")["updateIds"] == []
    assert service.stop() == 0


def updated(campaign: Campaign, api_server: ApiServer) -> str:
    def ask(eks: Any) -> Any:
        values = '{"env":{"AWS_VPC_K8S_CNI_EXTERNALSNAT":"true"}}'
        options = {"addonVersion": NEW, "configurationValues": values, "clientRequestToken": "update-token"}
        return eks.update_addon(**TARGET, **options)["update"]

    campaign.ask_and_die(APPLYING[0], ask)
    for step in APPLYING[1:]:
        campaign.die(step)
    assert generation(api_server) == 2
    roll_out(api_server)
    campaign.die("ended")
    service = campaign.live()
    eks = service.client()
    (update,) = eks.list_updates(name="prod", addonName="vpc-cni")["updateIds"]
    assert ask(eks)["id"] == update
    found = eks.describe_update(name="prod", addonName="vpc-cni", updateId=update)["update"]
    addon = eks.describe_addon(**TARGET)["addon"]
    assert (found["status"], found["errors"], addon["status"], addon["addonVersion"]) == (
        "Successful",
        [],
        "ACTIVE",
        NEW,
    )
    assert service.stop() == 0
    return str(update)


def killed_at_random(campaign: Campaign, api_server: ApiServer, first: str) -> None:
    chance = random.Random(20)  # noqa: S311
    service = campaign.live()
    options = {"addonVersion": OLD, "configurationValues": "{}", "clientRequestToken": "random-token"}
    service.client().update_addon(**TARGET, **options)
    service.kill()
    for _ in range(RANDOM_KILLS):
        campaign.die_at_random(chance.uniform(0.0, 0.3))
    service = campaign.live()
    eventually(lambda: generation(api_server) == 3)
    roll_out(api_server)
    eks = service.client()
    eventually(lambda: status_of(eks) == "ACTIVE")
    updates = eks.list_updates(name="prod", addonName="vpc-cni")["updateIds"]
    assert len(updates) == 2
    assert first in updates
    assert service.stop() == 0


def deleted(campaign: Campaign, api_server: ApiServer) -> None:
    campaign.ask_and_die(REMOVING[0], lambda eks: eks.delete_addon(**TARGET))
    for step in REMOVING[1:]:
        campaign.die(step)
    campaign.die("ended")
    service = campaign.live()
    assert status_of(service.client()) == "gone"
    assert not has_daemon_set(api_server)
    assert service.stop() == 0
