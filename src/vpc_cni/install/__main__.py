"""Entry point of the init container: environment in, exit status out."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from vpc_cni import __version__
from vpc_cni.errors import VpcCniError
from vpc_cni.install.binaries import describe, find_binaries, install_binaries
from vpc_cni.install.sysctls import apply_sysctls, plan_sysctls
from vpc_cni.plugin import host_architecture, plugin_path
from vpc_cni.settings import load_install_settings

# Where the image keeps the programs of others that a conflist may name.
CHAINED_DIR = Path("/opt/cni/bin")


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Prepare the node; return 0, or 1 after an error that was printed."""
    parser = argparse.ArgumentParser(
        prog="python -m vpc_cni.install",
        description="Prepare a node for the agent: install plugin binaries and set kernel parameters. May be repeated. "
        "Settings come from the environment: docs/settings.md.",
    )
    parser.add_argument(
        "--chained", type=Path, default=CHAINED_DIR, metavar="DIR", help="folder of the other plugins [%(default)s]"
    )
    chained: Path = parser.parse_args(arguments).chained
    try:
        for line in prepare_node(chained, environ):
            sys.stdout.write(f"{line}\n")
    except VpcCniError as err:
        sys.stderr.write(f"vpc-cni install: {err}\n")
        return 1
    return 0


def prepare_node(chained: Path, environ: Mapping[str, str]) -> list[str]:
    """Do all of it; return lines for the log.

    Raises:
        VpcCniError: the environment, the image or the host does not allow it.
    """
    settings = load_install_settings(environ)
    arch = host_architecture()
    binaries = find_binaries(plugin_path(arch), chained, arch=arch)
    changed = install_binaries(binaries, settings.bin_dir)
    return [
        f"vpc-cni {__version__}",
        describe(changed, len(binaries), settings.bin_dir),
        *apply_sysctls(plan_sysctls(settings)),
    ]


if __name__ == "__main__":
    sys.exit(main())
