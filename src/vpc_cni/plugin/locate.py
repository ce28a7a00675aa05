"""Find the plugin's binary of an architecture."""

import platform
from pathlib import Path

from vpc_cni.errors import HostError

ARCHITECTURES = ("x86_64", "aarch64")
PLUGIN_NAME = "aws-cni"
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
    arch = arch or host_architecture()
    path = bin_directory / arch / PLUGIN_NAME
    if not path.is_file():
        raise HostError(
            f"no {PLUGIN_NAME} for {arch} at {path}", hint="in a source tree run: python -m vpc_cni.plugin.build"
        )
    return path
