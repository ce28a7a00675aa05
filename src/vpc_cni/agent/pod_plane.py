"""Between an allocation and the kernel: builds a pod's desired network and hands it to ``netlink``.

Keeps what drift repair must know in step with what is wired, and remembers which links the reaper still has.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from vpc_cni.agent.steps import Reach, Step
from vpc_cni.ipam.records import AddCommitted
from vpc_cni.model import MAIN_TABLE, Allocation, Eni, SandboxKey
from vpc_cni.netlink.check import check_pod
from vpc_cni.netlink.identity import derive_mac
from vpc_cni.netlink.pod import PodPlane, PodWiring, WiredPod
from vpc_cni.netlink.route_socket import RouteSocket


class PodWirer:
    """Wires and unwires allocations. Belongs to the loop.

    Args:
        find_eni: the ENI of an id, as the pool knows it.
    """

    def __init__(
        self, plane: PodPlane, host: RouteSocket, *, find_eni: Callable[[str], Eni | None], reach: Reach
    ) -> None:
        self._plane = plane
        self._host = host
        self._find_eni = find_eni
        self._reach = reach
        self._reaping: dict[int, SandboxKey] = {}
        own = Path("/proc/self/ns/net").stat()
        self._own_namespace = own.st_dev, own.st_ino

    def is_own_namespace(self, netns_fd: int) -> bool:
        """Whether a descriptor names the node's own namespace. The plugin refuses that too; we do not rely on it."""
        found = os.fstat(netns_fd)
        return (found.st_dev, found.st_ino) == self._own_namespace

    def wiring(self, allocation: Allocation, *, host_ifname: str, container_ifname: str, mtu_bytes: int) -> PodWiring:
        """Return the network that a pod shall have. Pure."""
        eni = self._find_eni(allocation.eni_id)
        table = eni.route_table if eni is not None else _table_of(allocation.device_number)
        return PodWiring(
            key=allocation.key,
            address=allocation.address,
            host_ifname=host_ifname,
            container_ifname=container_ifname,
            host_mac=derive_mac(allocation.key, "host"),
            container_mac=derive_mac(allocation.key, "container"),
            mtu_bytes=mtu_bytes,
            route_table=table,
        )

    def wire(
        self,
        allocation: Allocation,
        *,
        host_ifname: str,
        container_ifname: str,
        mtu_bytes: int,
        netlink_fd: int,
        netns_fd: int,
    ) -> WiredPod:
        """Make the pod's network.

        Args:
            netlink_fd: route socket opened inside the pod, checked to be one; closed here in every case.
            netns_fd: the pod's namespace; stays the caller's.

        Raises:
            KernelError: the kernel refused; what was made is undone.
        """
        wiring = self.wiring(
            allocation, host_ifname=host_ifname, container_ifname=container_ifname, mtu_bytes=mtu_bytes
        )
        with RouteSocket.from_checked_fd(netlink_fd) as pod:
            return self._plane.wire(
                wiring, pod=pod, netns_fd=netns_fd, on_host_wired=lambda: self._reach(Step.ADD_HOST_WIRED)
            )

    def expect(self, allocation: Allocation, committed: AddCommitted) -> None:
        """Let drift repair keep a pod that an earlier run of the agent wired."""
        wiring = self.wiring(allocation, host_ifname="", container_ifname="", mtu_bytes=0)
        self._plane.expect(wiring, committed.host_ifindex, committed.container_mac)

    def unwire(self, key: SandboxKey, address: IPv4Address, ifindex: int) -> bool:
        """Remove rules and route at once and leave the link to the reaper; False when there is no link.

        Args:
            ifindex: of the host end; 0 for an ADD that did not complete, whose link is looked for.
        """
        if not ifindex:
            link = self._plane.find_link(key)
            ifindex = link.ifindex if link is not None else 0
        waiting = self._plane.unwire(key, address, ifindex)
        if waiting:
            self._reaping[ifindex] = key
        return waiting

    def check(self, allocation: Allocation, wired: AddCommitted, container_ifname: str, netlink_fd: int) -> list[str]:
        """Compare the pod's network with what it shall be; return what differs, in words."""
        link = self._host.find_link(ifindex=wired.host_ifindex)
        if link is None:
            RouteSocket.from_fd(netlink_fd).close()
            return [f"host link {wired.host_ifindex} is missing"]
        wiring = self.wiring(
            allocation, host_ifname=link.name, container_ifname=container_ifname, mtu_bytes=link.mtu_bytes
        )
        with RouteSocket.from_fd(netlink_fd) as pod:
            return check_pod(wiring, host=self._host, pod=pod)

    def is_reaping(self, key: SandboxKey) -> bool:
        """Whether the reaper still has a link of this sandbox."""
        return key in self._reaping.values()

    def take_gone(self, ifindexes: Sequence[int]) -> Iterator[SandboxKey]:
        """Translate the reaper's report: the sandboxes whose links no longer exist."""
        for ifindex in ifindexes:
            key = self._reaping.pop(ifindex, None)
            if key is not None:
                yield key


def _table_of(device_number: int) -> int:
    """Routing table of an ENI that is gone from the pool; its rules still name it."""
    return device_number + 1 if device_number > 0 else MAIN_TABLE
