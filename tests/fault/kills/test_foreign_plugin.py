"""The plugin of another implementation beside our agent: the node says so, is not ready, and its pods go on."""

import shutil
from pathlib import Path

from fault_agent import NewAgent, wait_until
from fault_runtime import Sandbox
from fault_stage import Stage

from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns


def test_a_foreign_plugin_makes_the_node_not_ready_and_disturbs_no_pod(
    lab: Lab, peer: Netns, new_agent: NewAgent, tmp_path: Path
) -> None:
    plugin = tmp_path / "aws-cni"
    stage = Stage.set_up(lab, new_agent({"HOST_CNI_BIN_PATH": str(tmp_path), "WARM_IP_TARGET": "3"}), peer)
    ours = Path(stage.agent.node.plugin_dir) / "aws-cni"
    shutil.copy(ours, plugin)
    stage.run()
    stage.add(Sandbox.create("before"))
    plugin.write_bytes(b"\x7fELF of another implementation")
    assert not stage.agent.status()["node"]["ready"]
    [reason] = stage.agent.status()["node"]["reasons"]
    assert "another implementation's" in reason
    assert "delete the aws-node pod" in reason
    assert [line for line in stage.agent.log_lines() if reason.split(":")[0] in line]
    stage.settle()
    shutil.copy(ours, plugin)
    wait_until(lambda: stage.agent.status()["node"]["ready"], 5, "a ready node with its own plugin")
