"""The peer: ptp with host-local, the nearest to our work among Debian's reference plugins."""

import os
import shutil
import subprocess
from pathlib import Path

from bench.target import Target
from vpc_cni.errors import HostError

PLUGIN_DIR = Path("/usr/lib/cni")
PACKAGE = "containernetworking-plugins"
MTU_BYTES = 9001
POD_RANGE = "10.88.0.0/20"


def peer_target(cni_version: str, folder: Path, plugin_dir: Path = PLUGIN_DIR) -> Target:
    """Describe the peer in a namespace of its own.

    Args:
        cni_version: that of our side, so that both speak the same.
        folder: that of the contender, a tmpfs; host-local keeps its files there.

    Raises:
        HostError: the plugins are not installed.
    """
    for program in ("ptp", "host-local"):
        if not os.access(plugin_dir / program, os.X_OK):
            raise HostError(f"{plugin_dir / program} is not there", hint=f"run: apt-get install {PACKAGE}")
    config = {
        "cniVersion": cni_version,
        "name": "bench",
        "type": "ptp",
        "ipMasq": False,
        "mtu": MTU_BYTES,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": POD_RANGE}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(folder / "host-local"),
        },
    }
    return Target("ptp", str(plugin_dir / "ptp"), str(plugin_dir), config)


def peer_version() -> str:
    """Return the version of the package, "unknown" where dpkg does not know it."""
    program = shutil.which("dpkg-query")
    if program is None:
        return "unknown"
    command = [program, "--show", "--showformat=${Version}", PACKAGE]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
