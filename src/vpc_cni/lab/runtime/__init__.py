"""The container runtime's half of CNI: reads a conflist and runs its plugins exactly as the specification says."""

from vpc_cni.lab.runtime.chain import Runtime
from vpc_cni.lab.runtime.config import (
    Attachment,
    NetworkConfig,
    PluginConfig,
    derive_plugin_config,
    parse_network_config,
)
from vpc_cni.lab.runtime.invoke import PluginError

__all__ = [
    "Attachment",
    "NetworkConfig",
    "PluginConfig",
    "PluginError",
    "Runtime",
    "derive_plugin_config",
    "parse_network_config",
]
