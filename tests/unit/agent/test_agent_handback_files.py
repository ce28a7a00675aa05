"""Whose a node is that was handed back."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from vpc_cni.agent.handback import Handback, HandbackFiles, Phase
from vpc_cni.ipam.checkpoint import digest, encode_checkpoint
from vpc_cni.model import Allocation, PodIdentity, SandboxKey

POD = Allocation(SandboxKey("aws-cni", "c0ffee", "eth0"), IPv4Address("10.0.0.5"), "eni-1", 1, PodIdentity("a", "b"), 7)


@pytest.mark.parametrize("pods", [[], [POD]], ids=["no pod", "one pod"])
def test_the_reference_has_run_also_where_it_found_nothing_to_change(tmp_path: Path, pods: list[Allocation]) -> None:
    files = HandbackFiles(tmp_path, tmp_path / "ipam.json")
    content = encode_checkpoint(pods)
    files.backing_store.write_bytes(content)
    files.note(Handback(Phase.DONE, checkpoint=digest(content)))
    assert not files.is_ours()
    files.backing_store.write_bytes(content + b"\n")  # the same pods by its encoder
    assert files.is_ours()
