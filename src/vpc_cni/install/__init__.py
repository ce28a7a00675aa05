"""The init container's work: puts plugin binaries on the host and sets the kernel parameters that need privileges.

Runs once, before the agent, and may be repeated. It asks no cloud and no API server. ``rp_filter`` of the primary link
is not its business: the agent sets and guards it by netlink, which needs no privileged container.
"""

from vpc_cni.install.binaries import Binary, find_binaries, install_binaries
from vpc_cni.install.sysctls import Sysctl, apply_sysctls, plan_sysctls

__all__ = ["Binary", "Sysctl", "apply_sysctls", "find_binaries", "install_binaries", "plan_sysctls"]
