"""The programs of a cluster: found, installed from Debian's packages, or built from Debian's source package."""

from vpc_cni.lab.kubernetes.tooling.finder import (
    BUILT_VERSION,
    COMPONENTS,
    Binaries,
    cache_root,
    find_binaries,
    require_binaries,
)
from vpc_cni.lab.kubernetes.tooling.preparation import prepare

__all__ = [
    "BUILT_VERSION",
    "COMPONENTS",
    "Binaries",
    "cache_root",
    "find_binaries",
    "prepare",
    "require_binaries",
]
