"""Wiring of pods: one batch for the host, one for the pod.

Theory of operation. ADD creates the pair with the container end already inside the pod's namespace, with fixed
hardware addresses and indexes, so that link, route and rules travel in one send; a second send over the pod's own
socket raises and addresses the container end. Nothing is ever moved between namespaces. DEL removes rules and route
and hands the link to the reaper.

A link is recognised by index and alias (the sandbox key), never by its name: a re-created StatefulSet pod has
the same name, and the DEL of the old sandbox may come after the ADD of the new one.
"""

import errno
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from vpc_cni.errors import KernelError
from vpc_cni.model import SandboxKey
from vpc_cni.netlink import messages
from vpc_cni.netlink.desired import DesiredState
from vpc_cni.netlink.identity import CONTAINER_IFINDEX, mac_of_alias
from vpc_cni.netlink.objects import Address, Link, Route
from vpc_cni.netlink.reaper import Reaper
from vpc_cni.netlink.route_socket import RouteSocket
from vpc_cni.netlink.uapi import Scope
from vpc_cni.netlink.wire import Message
from vpc_cni.netlink.wiring import (
    FROM_POD_PRIORITY,
    HOST_END_SETTINGS,
    VETH_QUEUES,
    PodWiring,
    WiredPod,
    host_batch,
    host_neighbour,
    host_network,
    host_route,
    pod_batch,
    remove_pod_rules,
    remove_source_rule,
)

__all__ = ["PodPlane", "PodWiring", "WiredPod"]

_ATTEMPTS = 4
# Absent where IPv6 is not built in, not loaded, or switched off at boot.
_KERNEL_IPV6 = Path("/proc/sys/net/ipv6")
# A taken name, or before kernel 6.6 a taken index, is EEXIST; a taken index is EBUSY since.
_TAKEN = frozenset((errno.EEXIST, errno.EBUSY))


@dataclass(frozen=True, slots=True)
class _Indexes:
    """Indexes of the pair to create; 0 lets the kernel choose."""

    host: int
    container: int


class PodPlane:
    """Wires and unwires pods of one node. Not thread safe: belongs to the agent's loop.

    Args:
        host: socket in the host's namespace; stays the caller's.
        reaper: takes the links that shall go.
        ifindexes: unused interface indexes, see ``identity.ifindex_source``.
        desired: kept in step with what is wired, for drift repair.
        ipv6: whether the kernel has IPv6; None looks.
    """

    def __init__(
        self,
        host: RouteSocket,
        reaper: Reaper,
        ifindexes: Iterator[int],
        desired: DesiredState | None = None,
        *,
        ipv6: bool | None = None,
    ) -> None:
        self._host = host
        self._reaper = reaper
        self._ifindexes = ifindexes
        self._desired = desired if desired is not None else DesiredState()
        self._ipv6 = _KERNEL_IPV6.exists() if ipv6 is None else ipv6
        # Addresses with a rule that may not be ours to rely on: of a former agent, or of a removal that failed.
        self._unsure = {
            rule.source.network_address
            for rule in host.list_rules()
            if rule.priority == FROM_POD_PRIORITY and rule.source is not None
        }

    def wire(
        self,
        wiring: PodWiring,
        *,
        pod: RouteSocket,
        netns_fd: int,
        on_host_wired: Callable[[], None] = lambda: None,
    ) -> WiredPod:
        """Make a pod's network as ``wiring`` says; about 0.6 ms.

        May be repeated for the same key, whatever an earlier call left behind. A link of another sandbox that has
        the host name is renamed and handed to the reaper.

        Args:
            pod: a socket opened inside the pod's namespace.
            netns_fd: the pod's namespace.
            on_host_wired: called between the two batches, for fault tests.

        Raises:
            KernelError: what this call made is undone.
        """
        try:
            link = self._make_pair(wiring, pod, netns_fd)
            on_host_wired()
            pod.execute(pod_batch(wiring, link.container_ifindex, link.host_mac))
            self._activate(link.ifindex)
        except KernelError:
            self._undo(wiring)
            raise
        self.expect(wiring, link.ifindex, link.container_mac)
        return link

    def _activate(self, ifindex: int) -> None:
        """Let the host end send from now on.

        It was raised before its peer, so it came up without carrier and drops what it shall send until a kernel
        worker has seen the carrier: up to 14 % of first answers to pods were lost. Since kernel 6.8 a look at the
        link does the worker's job at once; older kernels need a moment more.
        """
        self._host.look_at_link(ifindex)

    def expect(self, wiring: PodWiring, ifindex: int, container_mac: str = "") -> None:
        """Let drift repair keep the host's part of a pod; after a restart, for pods that were wired before.

        Args:
            container_mac: empty when unknown: then no neighbour entry is kept.
        """
        self._desired.set_link(ifindex, HOST_END_SETTINGS)
        self._desired.add_routes([host_route(wiring, ifindex)])
        self._desired.add_pod(wiring.address, wiring.rules)
        if container_mac:
            self._desired.add_neighbour(host_neighbour(wiring, ifindex, container_mac))

    def _make_pair(self, wiring: PodWiring, pod: RouteSocket, netns_fd: int) -> WiredPod:
        """Create the pair and the host's part; or complete those of an earlier call."""
        indexes = _Indexes(next(self._ifindexes), CONTAINER_IFINDEX)
        for _attempt in range(_ATTEMPTS):
            try:
                return self._create_pair(wiring, pod, netns_fd, indexes)
            except KernelError as err:
                if err.errno not in _TAKEN:
                    raise
                problem = err
            existing = self._reusable_pair(wiring, pod)
            if existing is not None:
                self._host.execute(host_batch(wiring, existing.ifindex, existing.container_mac, ipv6=False))
                return existing
            if not self._clear_names(wiring, pod):
                indexes = _Indexes(0, 0)  # no name was taken, so an index was
        raise KernelError(
            f"{problem.message}: the names {wiring.host_ifname} (host) and {wiring.container_ifname} (pod) stay taken",
            errno=problem.errno,
            hint="see who creates links of that name",
        )

    def _create_pair(self, wiring: PodWiring, pod: RouteSocket, netns_fd: int, indexes: _Indexes) -> WiredPod:
        create = messages.add_veth(
            wiring.host_ifname,
            peer_name=wiring.container_ifname,
            peer_netns_fd=netns_fd,
            mac=wiring.host_mac,
            peer_mac=wiring.container_mac,
            mtu_bytes=wiring.mtu_bytes,
            ifindex=indexes.host,
            peer_ifindex=indexes.container,
            queues=VETH_QUEUES,
        )
        if not indexes.host:
            return self._create_pair_slowly(wiring, pod, create)
        completion = host_batch(wiring, indexes.host, wiring.container_mac, ipv6=self._ipv6)
        stale = remove_source_rule(wiring.network) if wiring.address in self._unsure else []
        self._host.execute([create, *stale, *completion])
        self._unsure.discard(wiring.address)
        return WiredPod(indexes.host, indexes.container, wiring.host_mac, wiring.container_mac)

    def _create_pair_slowly(self, wiring: PodWiring, pod: RouteSocket, create: Message) -> WiredPod:
        """Create a pair whose indexes the kernel chooses, then ask for them."""
        self._host.execute([create])
        host_end = self._host.find_link(name=wiring.host_ifname)
        container_end = pod.find_link(name=wiring.container_ifname)
        if host_end is None or container_end is None:
            raise KernelError(f"the new pair {wiring.host_ifname} vanished at once", errno=errno.ENODEV)
        self._host.execute(host_batch(wiring, host_end.ifindex, container_end.mac, ipv6=self._ipv6))
        return WiredPod(host_end.ifindex, container_end.ifindex, host_end.mac, container_end.mac)

    def _reusable_pair(self, wiring: PodWiring, pod: RouteSocket) -> WiredPod | None:
        """Return the pair that an earlier ADD of the same sandbox made in this namespace, when it fits."""
        host_end = self._host.find_link(name=wiring.host_ifname)
        if host_end is None or host_end.alias != wiring.key.alias or self._reaper.owns(host_end.ifindex):
            return None
        container_end = pod.find_link(name=wiring.container_ifname)
        if container_end is None or not _are_pair(host_end, container_end):
            return None
        present = _addresses_of(pod, container_end.ifindex)
        if not present <= {wiring.address}:
            return None  # wired for another address: start anew rather than patch
        return WiredPod(host_end.ifindex, container_end.ifindex, host_end.mac, container_end.mac)

    def _clear_names(self, wiring: PodWiring, pod: RouteSocket) -> bool:
        """Free both names of the pair; return whether one was taken.

        Raises:
            KernelError: EEXIST, a name belongs to a link that is not ours to remove.
        """
        host_end = self._host.find_link(name=wiring.host_ifname)
        if host_end is not None:
            self._clear_host_name(host_end, wiring)
        container_end = pod.find_link(name=wiring.container_ifname)
        if container_end is not None:
            self._clear_container_name(container_end)
        return host_end is not None or container_end is not None

    def _clear_host_name(self, link: Link, wiring: PodWiring) -> None:
        if link.kind != "veth":
            raise KernelError(
                f"the name {link.name} belongs to a {link.kind or 'physical'} link of this host",
                errno=errno.EEXIST,
                hint="rename it, or choose another AWS_VPC_K8S_CNI_VETHPREFIX",
            )
        if link.alias == wiring.key.alias:
            self._desired.forget_link(link.ifindex)
            self._host.execute([messages.delete_link(link.ifindex).tolerating(errno.ENODEV)])
            return
        self._set_aside(link)

    def _set_aside(self, link: Link) -> None:
        """Free a name without waiting for a deletion: rename the link and leave it to the reaper.

        Kernels before 6.3 refuse to rename a link that is up; there the deletion is waited for.
        """
        self._desired.forget_link(link.ifindex)
        group = self._reaper.join(link.ifindex, link.alias)
        aside = f"{link.name[:4]}-{link.ifindex:x}"[:15]
        try:
            self._host.execute([messages.set_link(link.ifindex, group=group, name=aside).tolerating(errno.ENODEV)])
        except KernelError as err:
            if err.errno != errno.EBUSY:
                raise
            self._host.execute([messages.delete_link(link.ifindex).tolerating(errno.ENODEV)])

    def _clear_container_name(self, link: Link) -> None:
        """Remove a former pair of this namespace whose link still waits for the reaper."""
        host_end = self._host.find_link(ifindex=link.peer_ifindex) if link.peer_ifindex else None
        if host_end is None or not _are_pair(host_end, link) or not self._reaper.owns(host_end.ifindex):
            raise KernelError(
                f"the pod's namespace already has an interface {link.name} that this plugin did not make",
                errno=errno.EEXIST,
                hint="remove it, or let the runtime ask for another interface name",
            )
        self._host.execute([messages.delete_link(host_end.ifindex).tolerating(errno.ENODEV)])

    def _undo(self, wiring: PodWiring) -> None:
        """Remove what a failed ADD left. A link without alias is recognised by its hardware address."""
        link = self._host.find_link(name=wiring.host_ifname)
        ours = link is not None and (link.alias or link.mac) in {wiring.key.alias, wiring.host_mac}
        if link is not None and ours:
            self._retire(link.ifindex, link.alias, wiring.network)
        else:
            self._retire(0, "", wiring.network)

    def unwire(self, key: SandboxKey, address: IPv4Address, ifindex: int) -> bool:
        """Remove a pod's rules and route and hand its link to the reaper. Succeeds when all of it is gone.

        Args:
            ifindex: of the host end; 0 when there is none. A link there with another alias is not touched.

        Returns:
            Whether a link was there: the reaper reports its index when it is gone. False: nothing to wait for.
        """
        is_there = ifindex > 0 and self._host.is_alias_of(ifindex, key.alias)
        self._retire(ifindex if is_there else 0, key.alias, host_network(address))
        return is_there

    def _retire(self, ifindex: int, alias: str, network: IPv4Network) -> None:
        """Remove rules, and of the link that has this index and alias the route; 0 for no link."""
        self._desired.remove_pod(network.network_address)
        self._unsure.add(network.network_address)
        batch = remove_pod_rules(network)
        if ifindex:
            self._desired.forget_link(ifindex)
            route = Route(network, oif=ifindex, scope=Scope.LINK)
            group = self._reaper.join(ifindex, alias)
            batch.append(messages.delete_route(route).tolerating(errno.ESRCH, errno.ENODEV))
            batch.append(messages.set_link(ifindex, group=group).tolerating(errno.ENODEV))
        failures = self._host.execute(batch)
        while not {1, 3} <= failures.keys():  # a second copy was there to remove: look for a third
            failures = self._host.execute(remove_pod_rules(network))
        self._unsure.discard(network.network_address)

    def find_link(self, key: SandboxKey, host_ifname: str = "") -> Link | None:
        """Return the host end of a sandbox; quick when it has the expected name, else all links are looked at."""
        link = self._host.find_link(name=host_ifname) if host_ifname else None
        if link is not None and link.alias == key.alias:
            return link
        return next((link for link in self._host.list_links() if link.alias == key.alias), None)

    def discard_link(self, ifindex: int) -> bool:
        """Hand a link without a sandbox to the reaper; return whether there was one.

        For what a restart finds: its routes go with it, its address is unknown.
        """
        link = self._host.find_link(ifindex=ifindex)
        if link is None:
            return False
        self._desired.forget_link(ifindex)
        group = self._reaper.join(link.ifindex, link.alias)
        self._host.execute([messages.set_link(link.ifindex, group=group).tolerating(errno.ENODEV)])
        return True

    def adopt_link(self, ifindex: int, key: SandboxKey) -> None:
        """Give a link its identity: for pods that another implementation wired, after a take-over."""
        self._host.execute([messages.set_link(ifindex, alias=key.alias)])

    def list_pod_links(self, veth_prefix: str) -> list[Link]:
        """Return the host ends of pods, those being reaped excepted.

        A pod's link has our prefix, or the hardware address that its alias implies: the prefix is a setting and may
        have been another one when the pod came. Other people's veth links have aliases too.
        """
        return [
            link
            for link in self._host.list_links()
            if link.kind == "veth"
            and (link.name.startswith(veth_prefix) or link.mac == mac_of_alias(link.alias, "host"))
            and not self._reaper.owns(link.ifindex)
        ]


def _are_pair(host_end: Link, container_end: Link) -> bool:
    """Whether two veth links of different namespaces are the ends of one pair."""
    return (
        host_end.kind == container_end.kind == "veth"
        and host_end.peer_ifindex == container_end.ifindex
        and container_end.peer_ifindex == host_end.ifindex
    )


def _addresses_of(pod: RouteSocket, ifindex: int) -> set[IPv4Address]:
    found: list[Address] = pod.list_addresses(socket.AF_INET)
    return {a.interface.ip for a in found if a.ifindex == ifindex and isinstance(a.interface, IPv4Interface)}
