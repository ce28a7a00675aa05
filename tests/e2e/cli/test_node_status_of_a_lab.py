"""``vpc-cni node status`` against a real agent: the document has the promised shape, and the tables its content."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vpc_cni.lab import Lab


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(name="node-status", nodes=1, env={"IP_COOLDOWN_PERIOD": "3600"}) as running:
        yield running


def node_status(lab: Lab, *options: str) -> str:
    socket = Path(lab.nodes[0].run_dir) / "introspect.sock"
    command = [sys.executable, "-m", "vpc_cni.cli", "node", "status", "--agent", str(socket), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def test_status_shows_the_pods_of_the_node(lab: Lab) -> None:
    pod = lab.add_pod("node-1")
    document = json.loads(node_status(lab, "--json"))
    assert document["node"]["ready"]
    assert document["node"]["instance_id"] == lab.nodes[0].instance_id
    assert [each["address"] for each in document["pods"]] == [str(pod.address)]
    text = node_status(lab)
    for expected in (", ready", str(pod.address), document["enis"][0]["eni_id"], f"{pod.name} "):
        assert expected in text

    lab.delete_pod(pod.name)
    after = json.loads(node_status(lab, "--json"))
    assert after["pods"] == []
    assert after["pool"]["cooling"] == 1
    assert sum(eni["cooling"] for eni in after["enis"]) == 1
    assert "1 cooling" in node_status(lab)
