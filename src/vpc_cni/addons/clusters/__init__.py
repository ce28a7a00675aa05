"""Clusters that the service works on: registered by an administrator, logged in to as ``eks:addon-manager``."""

from vpc_cni.addons.clusters.connections import FIELD_MANAGER, GuardedCluster, StoredConnections
from vpc_cni.addons.clusters.registration import Registered, Timing, Wish, minor_version, reach, register, withdraw
from vpc_cni.addons.clusters.rotation import Resealed, add_key, drop_key, promote_key, reseal, rotate
from vpc_cni.addons.clusters.vault import Vault, open_vault

__all__ = [
    "FIELD_MANAGER",
    "GuardedCluster",
    "Registered",
    "Resealed",
    "StoredConnections",
    "Timing",
    "Vault",
    "Wish",
    "add_key",
    "drop_key",
    "minor_version",
    "open_vault",
    "promote_key",
    "reach",
    "register",
    "reseal",
    "rotate",
    "withdraw",
]
