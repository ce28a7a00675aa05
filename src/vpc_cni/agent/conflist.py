"""The conflist: what makes the runtime call the plugin. Rendered purely, written atomically.

The agent writes it itself, after restore, first reconcile and socket listen: a node must not look ready before
it is. It stays in place at shutdown, since the plugin knows how to wait for a restarting agent.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.settings import AgentSettings

CONFLIST_NAME = "10-aws.conflist"
NETWORK_NAME = "aws-cni"
# The version of the baseline profile; later profiles may raise it once every chained binary reports it.
CNI_VERSION = "0.4.0"


@dataclass(frozen=True, slots=True)
class ConflistOptions:
    """What the conflist depends on. ``socket_path`` is where plugins of this node find the agent."""

    veth_prefix: str
    pod_mtu_bytes: int
    socket_path: Path
    plugin_log_file: str
    plugin_log_level: str
    bandwidth: bool = False
    disable_pod_v6: bool = False
    pod_sg_enforcing_mode: str = "strict"

    @classmethod
    def of(cls, settings: AgentSettings) -> "ConflistOptions":
        host, network = settings.host, settings.network
        return cls(
            veth_prefix=network.veth_prefix,
            pod_mtu_bytes=network.pod_mtu_bytes,
            socket_path=host.agent_socket_on_host,
            plugin_log_file=host.plugin_log_file,
            plugin_log_level=host.plugin_log_level,
            bandwidth=host.bandwidth_plugin,
            disable_pod_v6=host.disable_pod_v6,
            pod_sg_enforcing_mode=host.pod_sg_enforcing_mode,
        )


def render_conflist(options: ConflistOptions) -> str:
    """Return the conflist's text. Pure.

    Differs from the reference in two ways: ``agentSocket`` is ours, and ``egress-cni`` is absent until the
    egress plugin exists here. ``disableCheck`` is false because CHECK is implemented.
    """
    plugins: list[dict[str, object]] = [
        {
            "name": NETWORK_NAME,
            "type": "aws-cni",
            "vethPrefix": options.veth_prefix,
            "mtu": str(options.pod_mtu_bytes),
            "podSGEnforcingMode": options.pod_sg_enforcing_mode,
            "pluginLogFile": options.plugin_log_file,
            "pluginLogLevel": options.plugin_log_level,
            "agentSocket": str(options.socket_path),
        },
        {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
    ]
    if options.bandwidth:
        plugins.append({"type": "bandwidth", "capabilities": {"bandwidth": True}})
    if options.disable_pod_v6:
        sysctl = {f"net.ipv6.conf.{scope}.disable_ipv6": "1" for scope in ("all", "default", "lo")}
        plugins.append({"type": "tuning", "sysctl": sysctl})
    conflist = {"cniVersion": CNI_VERSION, "name": NETWORK_NAME, "disableCheck": False, "plugins": plugins}
    return json.dumps(conflist, indent=2) + "\n"


def write_conflist(directory: Path, text: str) -> Path:
    """Put the conflist in place in one step and return its path. An equal file is left untouched.

    Raises:
        HostError: the directory cannot be written.
    """
    target = directory / CONFLIST_NAME
    try:
        if target.is_file() and target.read_text() == text:
            return target
        directory.mkdir(parents=True, exist_ok=True)
        staged = directory / f".{CONFLIST_NAME}.tmp"
        staged.write_text(text)
        os.chmod(staged, 0o644)
        os.replace(staged, target)
    except OSError as err:
        raise HostError(
            f"cannot write {target}: {err.strerror}",
            hint="mount the host's CNI configuration folder read-write and set HOST_CNI_CONFDIR_PATH to it",
        ) from err
    return target
