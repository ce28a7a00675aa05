"""Kernel parameters of the node. Only what differs is written, so most nodes need no privilege for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.settings import InstallSettings

PROC_SYS = Path("/proc/sys")


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A parameter below ``/proc/sys`` and its wanted value; without a required one the node does not work."""

    name: str
    value: str
    is_required: bool


def plan_sysctls(settings: InstallSettings) -> tuple[Sysctl, ...]:
    """Return the wanted parameters. Pure.

    With early demux the kernel looks a packet's local socket up before it routes it. Replies of pods with branch ENIs
    then bypass the rules that send them through their own link, and kubelet's TCP probes of such pods fail: turning it
    off is required when asked for. Turning it on again only saves some work for each packet.
    Source: amazon-vpc-cni-k8s README.md, DISABLE_TCP_EARLY_DEMUX.
    """
    value = "1" if settings.tcp_early_demux else "0"
    return (Sysctl("net/ipv4/tcp_early_demux", value, is_required=not settings.tcp_early_demux),)


def apply_sysctls(wanted: Iterable[Sysctl], proc_sys: Path = PROC_SYS) -> list[str]:
    """Write the parameters that have another value and return a line for each. One that this kernel lacks is skipped.

    Raises:
        HostError: a required parameter must change and cannot be written.
    """
    lines = []
    for sysctl in wanted:
        name = sysctl.name.replace("/", ".")
        try:
            if _write(proc_sys / sysctl.name, sysctl.value):
                lines.append(f"{name} set to {sysctl.value}")
        except OSError as err:
            problem = f"cannot set {name} to {sysctl.value}: {err.strerror}"
            if sysctl.is_required:
                raise HostError(
                    problem, hint="run the init container privileged, or set the value on the host (sysctl) beforehand"
                ) from err
            lines.append(f"{problem}; left as it is")
    return lines


def _write(path: Path, value: str) -> bool:
    """Write a value that differs; return whether it did."""
    try:
        if path.read_text().strip() == value:
            return False
    except FileNotFoundError:
        return False
    path.write_text(f"{value}\n")
    return True
