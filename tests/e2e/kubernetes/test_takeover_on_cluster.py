"""A whole cluster changes hands and comes back by the commands of docs/takeover.md, read from there, under traffic.

What stands in for the reference does to files what the reference does; its chains are those that our hand-back makes,
which other tests compare with those that iptables loads.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cluster_objects import agent_pods, end_pods, kubectl, list_pods, restarts, running, start_pods, wait_until
from cluster_traffic import assert_nothing_lost, traffic
from figures_file import Figures
from reference_stand_in import chains, forget_us, has_our_table, write_archives

from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.images.renaming import rename_images

GUIDE = Path(__file__).parents[3] / "docs" / "takeover.md"
OWN_REGISTRY = "mirror.example.com:5000/team"  # as in the guide
REFERENCE_REGISTRY = "reference.example.com"
VERSION = "v1.16.2"
NODES = ("node-1", "node-2")
COMMAND_SECONDS = 90
# From the first roll on kubelets look each second: of a roll's time most is waiting for their next look.
IMPATIENT = {
    "spec": {
        "updateStrategy": {"type": "OnDelete", "rollingUpdate": None},
        "template": {"spec": {"containers": [{"name": "aws-node", "readinessProbe": {"periodSeconds": 1}}]}},
    }
}


class NoAddons(BaseHTTPRequestHandler):
    """EKS for a cluster whose add-ons are nobody's."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("x-amzn-ErrorType", "ResourceNotFoundException")
        self.end_headers()
        self.wfile.write(json.dumps({"message": "No addon: vpc-cni found in cluster: my-cluster"}).encode())

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def eks() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), NoAddons) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Operator:
    """Somebody who types the guide's commands."""

    def __init__(self, lab: Lab, folder: Path, eks: str) -> None:
        self.folder = folder
        self._environment = {
            **lab.kubernetes.environment(),
            **lab.environment(),
            "AWS_ENDPOINT_URL_EKS": eks,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        there, self.watching, back, self.back_without_backup, _by_hand = re.findall(
            r"^```\n((?:vpc-cni self|kubectl).*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL
        )
        self.there = re.split(r"(?<!\\)\n", there.strip())
        self.look_back, hand_back = back.strip().split("\n", 1)
        self.hand_back, self.restore = hand_back.rsplit("\n", 1)

    def type(self, line: str, backup: str = "") -> str:
        """Run a command, with the name of a backup in its place; it must succeed, also for each node of a loop."""
        line = re.sub(r"backups/\S+json", backup, line)
        done = subprocess.run(
            ["/bin/bash", "-c", line],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        assert "NOT handed back" not in done.stdout, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def operator(addon_lab: Lab, image_archive: str, eks: str, tmp_path: Path) -> Iterator[Operator]:
    ours = tmp_path / "ours.tar"
    names = ("amazon-k8s-cni", "amazon-k8s-cni-init")
    rename_images(Path(image_archive), ours, {name: f"{OWN_REGISTRY}/{name}:{VERSION}" for name in names})
    addon_lab.kubernetes.load(ours, *write_archives(tmp_path, REFERENCE_REGISTRY, VERSION))
    kubectl(addon_lab, "patch", "daemonset", "aws-node", "--namespace=kube-system", f"--patch={json.dumps(IMPATIENT)}")
    yield Operator(addon_lab, tmp_path, eks)
    kubectl(addon_lab, "delete", "daemonset", "aws-node", "--namespace=kube-system")  # else it would roll node by node
    addon_lab.kubernetes.install(Path(image_archive))  # which takes over: only then pods can end
    for node in NODES:
        kubectl(addon_lab, "delete", "deployment", "--ignore-not-found", f"kept-{node}")
    wait_until(lambda: not list_pods(addon_lab, "app"), "the end of the pods")


def addresses(lab: Lab, name: str) -> dict[str, str]:
    """Return the addresses of a Deployment's pods by uid."""
    return {pod["metadata"]["uid"]: pod["status"]["podIP"] for pod in running(lab, f"app={name}")}


def is_whose(lab: Lab) -> str:
    """Return whose address translation is on both nodes."""
    found = {(bool(chains(lab, node)), has_our_table(lab, node)) for node in NODES}
    return {"(True, False)": "reference", "(False, True)": "ours"}.get(str(*found), str(found))


@pytest.mark.alone
def test_a_cluster_changes_hands_and_back_and_no_pod_notices(
    addon_lab: Lab, operator: Operator, figures: Figures
) -> None:
    lab = addon_lab
    for node in NODES:
        start_pods(lab, f"kept-{node}", 3, node)
    kept = [addresses(lab, f"kept-{node}") for node in NODES]
    pair = [running(lab, f"app=kept-{node}")[0] for node in NODES]
    started = time.monotonic()
    with traffic(lab, *pair) as (pings, stream):
        operator.type(operator.hand_back)  # so that the cluster is the reference's in the beginning
        operator.type(operator.back_without_backup.replace("REGISTRY", REFERENCE_REGISTRY))
        for node in NODES:
            forget_us(lab, node)
        assert is_whose(lab) == "reference"

        said = [operator.type(line) for line in operator.there]
        assert is_whose(lab) == "ours"
        operator.type(operator.watching.replace("POD", agent_pods(lab)["node-1"]["metadata"]["name"]))
        start_pods(lab, "new", 4)
        new = addresses(lab, "new")
        end_pods(lab, "new")

        backup = said[1].split()[0]
        operator.type(operator.look_back, backup)
        operator.type(operator.hand_back)
        operator.type(operator.restore, backup)
        assert is_whose(lab) == "reference"
    figures["takeover_there_and_back_seconds"] = time.monotonic() - started
    figures["takeover_packets_lost"] = pings.lost
    assert_nothing_lost(pings, stream)
    assert len({*kept[0].values(), *kept[1].values(), *new.values()}) == 10, "no address twice"
    assert [addresses(lab, f"kept-{node}") for node in NODES] == kept
    assert restarts(lab, "app") == 0
