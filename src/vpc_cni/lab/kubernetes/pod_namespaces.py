"""The network namespaces of a node's pods, by address: containerd keeps them under names that say nothing."""

import fcntl
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.netlink.netns import Netns

# As seen from a node's root: the folder that containerd's CRI makes.
FOLDER = Path("run/netns")
SIOCGIFADDR = 0x8915  # linux/sockios.h
IFREQ = struct.Struct("16s2xH4s16x")  # struct ifreq with a struct sockaddr_in: name, (family, port), address
POD_LINK = b"eth0"


def open_pod_namespaces(node_root: Path) -> dict[IPv4Address, Netns]:
    """Open the namespaces of all pods of a node that have an address. The caller closes them.

    Args:
        node_root: a path by which this process sees the node's files.
    """
    found = {}
    for netns in _open_all(node_root / FOLDER):
        address = _address_in(netns)
        if address is None or address in found:
            netns.close()
        else:
            found[address] = netns
    return found


def _address_in(netns: Netns) -> IPv4Address | None:
    try:
        return netns.run(read_address)
    except HostError:  # a plain file: the namespace has just ended
        return None


def read_address() -> IPv4Address | None:
    """Return the IPv4 address of the pod's link in the calling thread's namespace; None when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock, SIOCGIFADDR, IFREQ.pack(POD_LINK, 0, bytes(4)))
        except OSError:
            return None
    _name, _port, address = IFREQ.unpack(answer)
    return IPv4Address(address)


def _open_all(folder: Path) -> Iterator[Netns]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with suppress(HostError):  # a pod that is ending
            yield Netns.open(path)
