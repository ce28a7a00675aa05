"""Find the binaries of an architecture: the plugin, and the health probe of the container image."""

import platform
from pathlib import Path

from vpc_cni.errors import HostError

ARCHITECTURES = ("x86_64", "aarch64")
PLUGIN_NAME = "aws-cni"
PROBE_NAME = "grpc-health-probe"
BIN_DIRECTORY = Path(__file__).parent / "bin"

# What platform.machine() says elsewhere for the same processors.
_ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}


def host_architecture() -> str:
    """Return the architecture of this machine, by the name that ARCHITECTURES uses when it is one of them."""
    machine = platform.machine().lower()
    return _ALIASES.get(machine, machine)


def plugin_path(arch: str | None = None, *, bin_directory: Path = BIN_DIRECTORY) -> Path:
    """Return the plugin's binary for ``arch``, by default this machine's.

    Raises:
        HostError: no binary for it is installed.
    """
    return _program_path(PLUGIN_NAME, arch, bin_directory)


def probe_path(arch: str | None = None, *, bin_directory: Path = BIN_DIRECTORY) -> Path:
    """Return the health probe's binary for ``arch``, by default this machine's.

    Raises:
        HostError: no binary for it is installed.
    """
    return _program_path(PROBE_NAME, arch, bin_directory)


def _program_path(name: str, arch: str | None, bin_directory: Path) -> Path:
    arch = arch or host_architecture()
    path = bin_directory / arch / name
    if not path.is_file():
        raise HostError(f"no {name} for {arch} at {path}", hint="in a source tree run: python -m vpc_cni.plugin.build")
    return path
