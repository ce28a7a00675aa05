"""What a side of the comparison is, as plain data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """A plugin, the configuration it reads, and the node it works on.

    Args:
        name: for messages and for names of sandboxes.
        program: path of the plugin.
        plugin_path: CNI_PATH.
        config: what the plugin reads on stdin, without prevResult.
        netns_path: the node's network namespace; None asks for a fresh one.
        agent_pid: a process that works for the plugin and whose CPU time and memory count; None when there is none.
    """

    name: str
    program: str
    plugin_path: str
    config: Mapping[str, Any]
    netns_path: str | None = None
    agent_pid: int | None = None


def encode_config(config: Mapping[str, Any], previous_result: bytes = b"") -> bytes:
    """Return the bytes for stdin; ``previous_result`` is JSON text as ADD printed it, or empty. Pure."""
    text = json.dumps(config).encode()
    if not previous_result:
        return text
    return text[:-1] + b', "prevResult": ' + previous_result + b"}"


def host_link_of(result: bytes) -> str:
    """Return the name of the link that ADD made on the node. Pure.

    It is the first interface without a sandbox; ADD may list further ones that carry information only.
    """
    for interface in json.loads(result).get("interfaces", []):
        if not interface.get("sandbox"):
            return str(interface["name"])
    return ""


def pod_address_of(result: bytes) -> str:
    """Return the pod's first address, without its prefix length. Pure."""
    return str(json.loads(result)["ips"][0]["address"]).partition("/")[0]
