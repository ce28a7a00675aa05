"""The environment variables of a node's agent. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from vpc_cni.errors import CallerError
from vpc_cni.lab.paths import NodePaths
from vpc_cni.lab.runtime.invoke import PROGRAM_PATH


@dataclass(frozen=True, slots=True)
class AgentSurroundings:
    """What differs between labs and nodes."""

    node_name: str
    cluster_name: str
    region: str
    api_endpoint: str
    overrides: Mapping[str, str]


def agent_environment(paths: NodePaths, around: AgentSurroundings) -> dict[str, str]:
    """Return everything that the agent sees: what the DaemonSet sets, the lab's places, then ``overrides``.

    Nothing of the daemon's own environment passes through: credentials or proxies of the person at the keyboard
    have no business in the lab.
    """
    return {
        "PATH": PROGRAM_PATH,
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "ENABLE_IPv4": "true",
        "MY_NODE_NAME": around.node_name,
        "MY_POD_NAME": f"aws-node-{around.node_name}",
        "CLUSTER_NAME": around.cluster_name,
        "AWS_REGION": around.region,
        "AWS_EC2_ENDPOINT": around.api_endpoint,
        "AWS_ENDPOINT_URL_STS": around.api_endpoint,
        "HOST_CNI_BIN_PATH": str(paths.plugin_dir),
        "HOST_CNI_CONFDIR_PATH": str(paths.conf_dir),
        "VPC_CNI_RUN_DIR": str(paths.run_dir),
        "AWS_VPC_K8S_CNI_LOG_FILE": str(paths.log_dir / "ipamd.log"),
        "AWS_VPC_K8S_PLUGIN_LOG_FILE": str(paths.log_dir / "plugin.log"),
        "AWS_VPC_K8S_CNI_BACKING_STORE": str(paths.run_dir / "ipam.json"),
        **around.overrides,
    }


def parse_override(text: str) -> tuple[str, str]:
    """Read ``NAME=VALUE`` of ``--set``.

    Raises:
        CallerError: no name or no equals sign.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise CallerError(f'"{text}" is not NAME=VALUE', hint="for example --set WARM_IP_TARGET=5")
    return name, value
