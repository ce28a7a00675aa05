"""Our side: the plugin and the agent of one node in a lab."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.target import Target
from vpc_cni.errors import HostError
from vpc_cni.lab import NodeInfo

PLUGIN = "aws-cni"


def node_target(node: NodeInfo) -> Target:
    """Describe our plugin on a node whose agent serves: the first of the conflist, without what is chained to it.

    Raises:
        HostError: the node has no agent, or its conflist is not there.
    """
    if node.agent_pid is None:
        raise HostError(f"{node.name} has no agent", hint=f"see {node.agent_log_path}")
    try:
        conflist = json.loads(Path(node.conflist_path).read_text())
    except OSError as err:
        raise HostError(f"cannot read {node.conflist_path}: {err.strerror}", hint=f"see {node.agent_log_path}") from err
    return Target(
        name=PLUGIN,
        program=str(Path(node.plugin_dir, PLUGIN)),
        plugin_path=node.plugin_dir,
        config=first_plugin(conflist),
        netns_path=node.netns_path,
        agent_pid=node.agent_pid,
    )


def first_plugin(conflist: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the first plugin of a chain reads. Source: CNI SPEC.md section 3. Pure."""
    config = {key: value for key, value in conflist["plugins"][0].items() if key != "capabilities"}
    return {**config, "name": conflist["name"], "cniVersion": conflist["cniVersion"]}
