"""One node: an instance, its namespace and folders, its agent and its pods."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.lab.nodes import boot
from vpc_cni.lab.nodes.agent import AgentProcess
from vpc_cni.lab.nodes.pods import PodSet
from vpc_cni.lab.paths import NodePaths
from vpc_cni.lab.runtime import Runtime
from vpc_cni.netlink.netns import Netns

SHIM = "aws-cni"
# Debian's containernetworking-plugins; other distributions use the second place.
STANDARD_PLUGIN_DIRS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
STANDARD_PLUGINS = ("bandwidth", "host-local", "loopback", "portmap", "ptp", "tuning")


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """What is fixed for the life of a node's instance."""

    instance_id: str
    instance_type: str
    subnet_id: str
    primary_link: str
    primary: IPv4Interface
    gateway: IPv4Address
    public_address: IPv4Address | None


@dataclass(slots=True)
class Node:
    """A node and the parts that run on it. ``agent`` is None on bare instances."""

    name: str
    facts: InstanceFacts
    netns: Netns
    paths: NodePaths
    pods: PodSet
    agent: AgentProcess | None = None

    def boot(self, *, init_step: bool = True) -> None:
        """Bring the node to the point where a DaemonSet would start the agent.

        Args:
            init_step: do what the DaemonSet's init container does; it will not run.
        """
        boot.apply_instance_defaults(self.netns)
        boot.run_dhcp(self.netns, self.facts.primary_link, self.facts.primary, self.facts.gateway)
        if init_step:
            boot.run_init_step(self.netns, self.facts.primary_link)
        else:
            boot.allow_forwarding(self.netns)


def prepare_folders(paths: NodePaths, find_shim: Callable[[], Path] | None) -> None:
    """Make a node's folders and install the plugins: ours and the standard ones that are on this machine.

    Args:
        find_shim: finds our plugin; None leaves its installation to a DaemonSet.

    Raises:
        HostError: a folder or file cannot be written.
    """
    try:
        for folder in (paths.plugin_dir, paths.conf_dir, paths.cache_dir, paths.log_dir):
            folder.mkdir(parents=True, exist_ok=True)
        # The agent's own folder: its socket and journal are for root alone.
        paths.run_dir.mkdir(mode=0o700, exist_ok=True)
        if find_shim is not None:
            install_program(find_shim(), paths.plugin_dir / SHIM)
        for name in STANDARD_PLUGINS:
            source = next((place / name for place in STANDARD_PLUGIN_DIRS if (place / name).is_file()), None)
            if source is not None:
                (paths.plugin_dir / name).symlink_to(source)
    except OSError as err:
        raise HostError(f"cannot prepare {paths.root}: {err}") from err


def install_program(source: Path, target: Path) -> None:
    """Copy an executable in one step, so that nobody can run half of it."""
    staged = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(source, staged)
    staged.chmod(0o755)
    staged.replace(target)


def node_runtime(paths: NodePaths) -> Runtime:
    return Runtime(paths.conf_dir, (paths.plugin_dir,), paths.cache_dir)


def subnet_interface(address: IPv4Address, subnet: IPv4Network) -> IPv4Interface:
    """Return an address with its subnet's prefix length. Pure."""
    return IPv4Interface(f"{address}/{subnet.prefixlen}")
