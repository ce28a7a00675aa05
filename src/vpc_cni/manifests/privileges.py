"""What each container may do on its node, and why. Pure.

The reference's init container and policy agent are privileged, its agent has NET_ADMIN and NET_RAW. Ours:

agent
    NET_ADMIN for netlink and nftables, and nothing else. It never enters a namespace (the plugin passes it
    descriptors), sends no raw packets, and writes only into its mounts.
init container
    no capability: it copies files into a folder that belongs to root, as which it runs. Sysctls of links are the
    agent's, by netlink. Only ``DISABLE_TCP_EARLY_DEMUX=true`` needs a writable ``/proc/sys``, which no capability
    opens: then, and only then, the container is privileged.
"""

from collections.abc import Mapping

from vpc_cni.manifests.definitions import Manifest
from vpc_cni.manifests.images import ImageSet

# As in Go: what turns a boolean variable on.
TRUE_TEXTS = frozenset({"1", "t", "T", "TRUE", "true", "True"})


def agent_security_context(image_set: ImageSet) -> Manifest:
    if image_set is ImageSet.AWS:
        return {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}
    return _confined("NET_ADMIN")


def init_security_context(image_set: ImageSet, env: Mapping[str, str]) -> Manifest:
    """Return the init container's; ``env`` holds its own variables."""
    if image_set is ImageSet.AWS or env.get("DISABLE_TCP_EARLY_DEMUX", "") in TRUE_TEXTS:
        return {"privileged": True}
    return _confined()


def policy_agent_security_context() -> Manifest:
    return {"capabilities": {"add": ["NET_ADMIN"]}, "privileged": True}


def _confined(*capabilities: str) -> Manifest:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], **({"add": list(capabilities)} if capabilities else {})},
        "readOnlyRootFilesystem": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
