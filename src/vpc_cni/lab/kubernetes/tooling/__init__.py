"""The programs of a cluster: found, installed from Debian's packages, or built from Debian's source package.

Building is in `preparation`, which is not imported here: those who only look for the programs need none of it.
"""

from vpc_cni.lab.kubernetes.tooling.finder import (
    BUILT_VERSION,
    COMPONENTS,
    Binaries,
    cache_root,
    find_binaries,
    is_outdated,
    require_binaries,
)

__all__ = ["BUILT_VERSION", "COMPONENTS", "Binaries", "cache_root", "find_binaries", "is_outdated", "require_binaries"]
