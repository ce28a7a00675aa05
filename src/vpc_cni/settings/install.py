"""Settings of the init container, which prepares a node before the agent starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vpc_cni.errors import ConfigurationError
from vpc_cni.settings import modes
from vpc_cni.settings._kinds import BOOLEAN, PATH
from vpc_cni.settings._reader import EnvironmentReader
from vpc_cni.settings._setting import Container, Setting

BIN_DIR = Setting(
    "HOST_CNI_BIN_PATH",
    PATH,
    default="/host/opt/cni/bin",
    since="1.6.0",
    meaning="Where plugin binaries are installed: the host's `/opt/cni/bin` as the container sees it. The agent looks "
    "there whether `aws-cni` is its own.",
    readers=(Container.INIT, Container.AGENT),
)
TCP_EARLY_DEMUX = Setting(
    "DISABLE_TCP_EARLY_DEMUX",
    BOOLEAN,
    default="false",
    since="1.7.3",
    meaning="Turn off TCP early demux on the node. Changing it is all that the init container needs privileges for.",
    readers=(Container.INIT,),
)

SETTINGS: tuple[Setting[object], ...] = (BIN_DIR, TCP_EARLY_DEMUX)


@dataclass(frozen=True, slots=True)
class InstallSettings:
    """What the init container is asked to do."""

    bin_dir: Path
    tcp_early_demux: bool


def load_install_settings(environ: Mapping[str, str]) -> InstallSettings:
    """Parse the init container's environment. Pure.

    Raises:
        ConfigurationError: at least one variable is wrong; the message names every such variable.
    """
    environment = EnvironmentReader(environ)
    for mode in (mode for mode in modes.MODES if Container.INIT in mode.readers):
        environment.read(mode)
    settings = InstallSettings(
        bin_dir=environment.read(BIN_DIR),
        tcp_early_demux=not environment.read(TCP_EARLY_DEMUX),
    )
    if environment.problems:
        raise ConfigurationError(
            "; ".join(environment.problems),
            hint="change the environment of the init container aws-vpc-cni-init; see docs/settings.md",
        )
    return settings
