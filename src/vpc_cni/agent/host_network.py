"""The node's own network as the agent runs it: sockets, ENI links, address translation, pods' plane, repairs.

Puts the parts of ``netlink`` together and keeps their sockets; decides nothing about addresses.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Network

from vpc_cni.model import Eni
from vpc_cni.netlink import uapi
from vpc_cni.netlink.desired import DesiredState
from vpc_cni.netlink.events import EventSocket
from vpc_cni.netlink.host import NodePlane
from vpc_cni.netlink.identity import ifindex_source
from vpc_cni.netlink.link_wait import wait_for_link
from vpc_cni.netlink.objects import Link
from vpc_cni.netlink.pod import PodPlane
from vpc_cni.netlink.reaper import Reaper
from vpc_cni.netlink.route_socket import RouteSocket
from vpc_cni.settings import NetworkSettings

_log = logging.getLogger(__name__)

# EC2 reports an ENI as attached some seconds before its link is there; beyond this it will not come.
_LINK_SECONDS = 30.0


class HostNetwork:
    """Everything of the kernel that is not one pod. Belongs to the loop; the reaper has a thread of its own.

    Args:
        on_gone: called on the reaper's thread with the indexes of deleted links.
    """

    def __init__(
        self, settings: NetworkSettings, *, rng: random.Random, on_gone: Callable[[Sequence[int]], None]
    ) -> None:
        self._settings = settings
        self.socket = RouteSocket.open()
        self._desired = DesiredState()
        self._node = NodePlane(self.socket, self._desired)
        self._reaper = Reaper(RouteSocket.open(), on_gone, rng=rng)
        taken = {link.ifindex for link in self.socket.list_links()}
        self.pods = PodPlane(self.socket, self._reaper, ifindex_source(taken, rng), self._desired)
        self._links: dict[str, int] = {}
        self._reaper.start()

    async def set_up_primary(self, primary: Eni, vpc_cidrs: Iterable[IPv4Network]) -> None:
        """Configure the primary ENI's link, the rules of the node, and address translation."""
        settings = self._settings
        link = await self._wait_for_link(primary)
        self._node.set_up_primary(link, settings.eni_mtu_bytes)
        self._links[primary.eni_id] = link.ifindex
        marks = settings.node_port_support or not settings.external_snat
        self._node.ensure_mark_rule(settings.connmark, wanted=marks)
        self._node.ensure_external_services(settings.external_service_cidrs)

    async def set_up(self, eni: Eni) -> None:
        """Wait for a secondary ENI's link, then configure link and routing table. May be repeated.

        Raises:
            KernelError: the link did not appear, or a step was refused.
        """
        link = await self._wait_for_link(eni)
        self._node.set_up_eni(eni, link, self._settings.eni_mtu_bytes)
        self._links[eni.eni_id] = link.ifindex

    def tear_down(self, eni: Eni) -> None:
        """Remove a secondary ENI's routing table. May be repeated."""
        self._node.tear_down_eni(eni, self._links.pop(eni.eni_id, 0))

    async def _wait_for_link(self, eni: Eni) -> Link:
        events = EventSocket.open((uapi.RTNLGRP_LINK,))
        try:
            return await wait_for_link(eni.mac, self.socket, events, timeout_seconds=_LINK_SECONDS)
        finally:
            events.close()

    def set_vpc_cidrs(self, cidrs: Iterable[IPv4Network]) -> None:
        """Follow the VPC: destinations inside it are reached untranslated."""

    def start_repairs(self) -> None:
        """Put back from now on what someone removes."""

    def close(self) -> None:
        """Let go of the sockets; links, routes, rules and tables stay."""
        self._reaper.stop()
        self.socket.close()


def on_loop(
    loop: asyncio.AbstractEventLoop, callback: Callable[[Sequence[int]], None]
) -> Callable[[Sequence[int]], None]:
    """Return a callback for another thread that runs ``callback`` on the loop; silent once the loop is closed."""

    def call(ifindexes: Sequence[int]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(callback, list(ifindexes))

    return call
