"""Kernel parameters of the node. Only what differs is written, so most nodes need no privilege for it."""

from collections.abc import Mapping
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.settings import InstallSettings

PROC_SYS = Path("/proc/sys")


def plan_sysctls(settings: InstallSettings) -> dict[str, str]:
    """Return wanted values by path below ``/proc/sys``. Pure.

    With early demux the kernel looks a packet's local socket up before it routes it. Replies of pods with branch ENIs
    then bypass the rules that send them through their own link, and kubelet's TCP probes of such pods fail.
    Source: amazon-vpc-cni-k8s README.md, DISABLE_TCP_EARLY_DEMUX.
    """
    return {"net/ipv4/tcp_early_demux": "1" if settings.tcp_early_demux else "0"}


def apply_sysctls(wanted: Mapping[str, str], proc_sys: Path = PROC_SYS) -> list[str]:
    """Write the parameters that have another value and return their paths. One that this kernel lacks is skipped.

    Raises:
        HostError: a parameter must change and cannot be written.
    """
    changed = []
    for name, value in wanted.items():
        path = proc_sys / name
        try:
            if path.read_text().strip() == value:
                continue
            path.write_text(f"{value}\n")
        except FileNotFoundError:
            continue
        except OSError as err:
            raise HostError(
                f"cannot set {name.replace('/', '.')} to {value}: {err.strerror}",
                hint="run the init container privileged, or set the value on the host (sysctl) beforehand",
            ) from err
        changed.append(name)
    return changed
