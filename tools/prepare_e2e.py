"""Make this machine ready for the tests with a cluster, or say why it cannot be: the first step of `make e2e`.

Installs Debian packages, builds Kubernetes (once, some 10 minutes) and, unless `--no-image` is given, the image of this
checkout (a minute): tests that need an API server and no node need no image either. Exit status 0: ready. 77, which
test programs use for "skipped": this machine lacks what it cannot get; the last line says what. 1: a build failed.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import build_image

from vpc_cni.errors import HostError
from vpc_cni.lab.kubernetes.tooling.finder import cache_root, find_binaries, is_outdated
from vpc_cni.lab.kubernetes.tooling.preparation import prepare
from vpc_cni.lab.kubernetes.tooling.programs import (
    BUILD_PROGRAMS,
    CLUSTER_PROGRAMS,
    install_packages,
    missing_packages,
)

SKIPPED = 77
MACHINES = ("x86_64", "aarch64")
# What the tests themselves run, on nodes and beside them; program to Debian package.
TEST_PROGRAMS: Mapping[str, str] = {
    "debootstrap": "debootstrap",
    "buildah": "buildah",
    "ping": "iputils-ping",
    "pgrep": "procps",
    "ps": "procps",
    "nft": "nftables",
    "ip": "iproute2",
    "openssl": "openssl",
    "/bin/busybox": "busybox-static",
}
APT_LOG = Path("build", "e2e-apt.log")


def main() -> int:
    parser = argparse.ArgumentParser(description="Make this machine ready for the tests with a cluster.")
    parser.add_argument("--no-image", action="store_true", help="packages and Kubernetes only")
    with_image = not parser.parse_args().no_image
    reason = why_impossible(os.geteuid(), platform.machine()) or why_no_packages()
    if reason:
        say(f"skipped: {reason}")
        return SKIPPED
    try:
        prepare(say)
    except HostError as err:
        say(str(err))
        return 1
    return subprocess.run([sys.executable, "tools/build_image.py"], check=False).returncode if with_image else 0


def why_impossible(uid: int, machine: str) -> str:
    """Return what no package can mend; empty when there is nothing."""
    if uid != 0:
        return "a cluster needs root; run `sudo make e2e`"
    if machine not in MACHINES:
        return f"not tried on {machine}"
    if shutil.which("apt-get") is None:
        return "not a Debian system: apt-get is not there"
    probe = ["unshare", "--net", "--mount", "--pid", "--fork", "true"]
    refused = subprocess.run(probe, capture_output=True, text=True, check=False)
    return f"namespaces are refused here: {refused.stderr.strip()}" if refused.returncode != 0 else ""


def why_no_packages() -> str:
    """Install what is missing; return why that is not possible, empty when all is there."""
    builds = needs_build()
    missing = missing_packages({**CLUSTER_PROGRAMS, **TEST_PROGRAMS, **(BUILD_PROGRAMS if builds else {})})
    APT_LOG.parent.mkdir(exist_ok=True)
    try:
        if missing:
            say(f"installing {', '.join(missing)}")
            install_packages(missing, APT_LOG)
        elif builds or needs_base():
            ask_mirror()
    except HostError as err:
        return f"{', '.join(missing) or 'sources and packages'} cannot be had from Debian's archive: {err}"
    return ""


def needs_build() -> bool:
    """Tell whether Kubernetes has to be built first."""
    found = find_binaries()
    return found is None or is_outdated(found, cache_root())


def needs_base() -> bool:
    """Tell whether the image's base system has to be made first."""
    try:
        return not (build_image.parse_arguments([]).cache / build_image.base_name()).is_dir()
    except build_image.ImageError as err:
        raise HostError(str(err)) from err


def ask_mirror() -> None:
    """Raises HostError when no archive of Debian answers. Then nothing can be built, and that is nobody's mistake."""
    command = ["apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "-o", "DPkg::Lock::Timeout=120", "update"]
    with APT_LOG.open("ab") as log:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode
    if status != 0:
        raise HostError(f"apt-get update failed with status {status}", hint=f"see {APT_LOG}")


def say(text: str) -> None:
    sys.stdout.write(f"e2e: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
