"""Programs beside Kubernetes' own that a cluster, or the build of one, needs: each comes with a Debian package."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from vpc_cni.errors import HostError

# Program to package. A program with a path is looked for there and nowhere else.
CLUSTER_PROGRAMS: Mapping[str, str] = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "kubectl": "kubernetes-client",
    "iptables-nft": "iptables",
    "iptables-legacy": "iptables",
    "conntrack": "conntrack",
    "/usr/lib/cni/loopback": "containernetworking-plugins",
}
BUILD_PROGRAMS: Mapping[str, str] = {
    "make": "make",
    "rsync": "rsync",
    "dpkg-source": "dpkg-dev",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
}

SEARCH_PATH = os.pathsep.join(
    ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
)  # fixed: a lab must not depend on the PATH of the person at the keyboard


def find_program(name: str, search_path: str = SEARCH_PATH) -> Path | None:
    """Return where a program is, by name or path; None when it is not an executable there."""
    found = shutil.which(name, path=search_path)
    return Path(found) if found else None


def require_program(name: str) -> Path:
    """Return where a program is.

    Raises:
        HostError: it is missing.
    """
    found = find_program(name)
    if found is None:
        package = {**CLUSTER_PROGRAMS, **BUILD_PROGRAMS}.get(name, name)
        raise HostError(f"{name} is not installed", hint=install_line([package]))
    return found


def missing_packages(programs: Mapping[str, str], search_path: str = SEARCH_PATH) -> list[str]:
    """Return the packages of the programs that are missing: sorted, each once."""
    return sorted({package for name, package in programs.items() if find_program(name, search_path) is None})


def install_line(packages: Iterable[str]) -> str:
    """Return the command that a person runs."""
    return f"run: sudo apt-get install -y --no-install-recommends {' '.join(packages)}"


def install_packages(packages: list[str], log: Path) -> None:
    """Install packages by apt; needs root and the lock of dpkg, for which it waits.

    Raises:
        HostError: this is not root, or apt failed.
    """
    if os.geteuid() != 0:
        raise HostError(f"these packages are missing: {', '.join(packages)}", hint=install_line(packages))
    environment = {"PATH": SEARCH_PATH, "DEBIAN_FRONTEND": "noninteractive", "LANG": "C.UTF-8"}
    install = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120", "install", "--no-install-recommends", *packages]
    with log.open("ab") as output:
        for command in (["apt-get", "-q", "update"], install):
            status = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, check=False
            ).returncode
            if status != 0:
                raise HostError(f"{' '.join(command[:3])} failed with status {status}", hint=f"see {log}")
