"""What the agent of the DaemonSet may do on its node."""

import pytest
from cluster_node import read_process

from vpc_cni.lab import Lab

NET_ADMIN = 1 << 12  # linux/capability.h
SECCOMP_MODE_FILTER = 2  # linux/seccomp.h


@pytest.mark.parametrize("node", ["node-1", "node-2"])
def test_the_agent_has_one_capability_and_cannot_write_its_own_files(addon_lab: Lab, node: str) -> None:
    lines = read_process(addon_lab, node, "status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    for kind in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[kind], 16) == NET_ADMIN, kind
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert int(status["Seccomp"]) == SECCOMP_MODE_FILTER
    assert int(status["NoNewPrivs"]) == 1
    (root,) = (line for line in read_process(addon_lab, node, "mountinfo").splitlines() if line.split()[4] == "/")
    assert "ro" in root.split()[5].split(",")
