"""The whole service: registering a cluster, and the life of an add-on through boto3."""

import json
import subprocess
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from tests.contract.addons.server.conftest import ApiServer, Process, eventually

Start = Callable[..., Process]
Register = Callable[..., "subprocess.CompletedProcess[str]"]
VERSION = "v1.16.2-eksbuild.1"


def roll_out(api_server: ApiServer) -> None:
    """Play the DaemonSet controller of a cluster without nodes."""
    live = api_server.get("daemonset", "aws-node")
    status = {"observedGeneration": live["metadata"]["generation"], "desiredNumberScheduled": 0}
    zero = dict.fromkeys(("currentNumberScheduled", "numberMisscheduled", "numberReady"), 0)
    body = json.dumps({"status": {**status, **zero}})
    path = "/apis/apps/v1/namespaces/kube-system/daemonsets/aws-node/status"
    api_server.patch(path, body)


def test_an_addon_is_created_shown_and_deleted(api_server: ApiServer, start: Start, register: Register) -> None:
    done = register("prod", "--eks-version", "1.29")
    assert done.returncode == 0, done.stderr
    service = start()
    eks = service.client()
    made = eks.create_addon(clusterName="prod", addonName="vpc-cni", addonVersion=VERSION)["addon"]
    assert made["status"] == "CREATING"
    eventually(
        lambda: bool(api_server.kubectl("get", "daemonset", "-n", "kube-system", "aws-node", check=False).stdout)
    )
    print(service.probe("/metrics"), (service.folder.parent / "state.log").read_text())
