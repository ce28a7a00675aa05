"""Frozen value types that every other package speaks in. Standard library only; no I/O."""

from vpc_cni.model.allocation import Allocation, Cooling
from vpc_cni.model.eni import MAIN_TABLE, Eni
from vpc_cni.model.identity import PodIdentity, SandboxKey, host_veth_name, veth_suffix

__all__ = [
    "MAIN_TABLE",
    "Allocation",
    "Cooling",
    "Eni",
    "PodIdentity",
    "SandboxKey",
    "host_veth_name",
    "veth_suffix",
]
