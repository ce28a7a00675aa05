"""The node's own network as the agent runs it: sockets, ENI links, address translation, pods' plane, repairs.

Puts the parts of ``netlink`` together and keeps their sockets; decides nothing about addresses.
"""

import asyncio
import dataclasses
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network

from vpc_cni.model import Eni
from vpc_cni.netlink import uapi
from vpc_cni.netlink.desired import DesiredState
from vpc_cni.netlink.drift import DriftMonitor, DriftSources, Repair
from vpc_cni.netlink.events import EventSocket
from vpc_cni.netlink.host import NodePlane
from vpc_cni.netlink.identity import ifindex_source
from vpc_cni.netlink.link_wait import wait_for_link
from vpc_cni.netlink.nat import NatPlan, RandomPorts
from vpc_cni.netlink.nftables import NatTable, Nftables
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
        on_repair: called on the loop for each thing that someone removed and that was put back.
        on_eni_link_gone: called on the loop with the id of an ENI whose link has left the node.

    Raises:
        KernelError: netlink or nftables cannot be used.
        HostError: libnftables is missing.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        *,
        rng: random.Random,
        on_gone: Callable[[Sequence[int]], None],
        on_repair: Callable[[Repair], None],
        on_eni_link_gone: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self.socket = RouteSocket.open()
        self._desired = DesiredState()
        self._node = NodePlane(self.socket, self._desired)
        self._reaper = Reaper(RouteSocket.open(), on_gone, rng=rng)
        taken = {link.ifindex for link in self.socket.list_links()}
        self.pods = PodPlane(self.socket, self._reaper, ifindex_source(taken, rng), self._desired)
        self._links: dict[str, int] = {}
        self._nat = NatTable(Nftables())
        self._nat_plan: NatPlan | None = None
        # Listening begins before the first change, so that nothing is missed between set-up and start_repairs.
        sources = DriftSources(
            route=EventSocket.open(),
            nftables=EventSocket.open((uapi.NFNLGRP_NFTABLES,), protocol=uapi.NETLINK_NETFILTER),
        )
        # What we change ourselves is no drift; left out in the kernel, since pods come and go often.
        sources.route.ignore_own(self.socket.port)
        self._drift = DriftMonitor(
            host=self.socket,
            desired=self._desired,
            sources=sources,
            nat=self._nat,
            on_repair=on_repair,
            on_link_gone=self._link_gone,
        )
        self._on_eni_link_gone = on_eni_link_gone
        self._reaper.start()

    async def set_up_primary(self, primary: Eni, vpc_cidrs: Iterable[IPv4Network]) -> None:
        """Configure the primary ENI's link, the rules of the node, and address translation."""
        settings = self._settings
        link = await self._wait_for_link(primary, _LINK_SECONDS)
        self._node.set_up_primary(link, settings.eni_mtu_bytes)
        self._links[primary.eni_id] = link.ifindex
        plan = nat_plan(settings, link.name, primary.primary_address, vpc_cidrs)
        self._node.ensure_mark_rule(settings.connmark, wanted=plan.needs_mark_rule)
        self._node.ensure_external_services(settings.external_service_cidrs)
        self._nat.apply(plan)
        self._nat_plan = plan

    async def set_up(self, eni: Eni, *, patience_seconds: float = _LINK_SECONDS) -> None:
        """Wait for a secondary ENI's link, then configure link and routing table. May be repeated.

        Args:
            patience_seconds: how long the link may take to appear; 0: it must be there.

        Raises:
            KernelError: the link did not appear, or a step was refused.
        """
        link = await self._wait_for_link(eni, patience_seconds)
        self._node.set_up_eni(eni, link, self._settings.eni_mtu_bytes)
        self._links[eni.eni_id] = link.ifindex

    def tear_down(self, eni: Eni) -> None:
        """Remove a secondary ENI's routing table. May be repeated."""
        self._node.tear_down_eni(eni, self._links.pop(eni.eni_id, 0))

    def _link_gone(self, ifindex: int) -> None:
        """A wanted link has left: a pod's ends with its namespace, an ENI's must be set up again when it returns."""
        for eni_id, index in list(self._links.items()):
            if index == ifindex:
                del self._links[eni_id]
                self._on_eni_link_gone(eni_id)

    async def _wait_for_link(self, eni: Eni, patience_seconds: float) -> Link:
        events = EventSocket.open((uapi.RTNLGRP_LINK,))
        try:
            return await wait_for_link(eni.mac, self.socket, events, timeout_seconds=patience_seconds)
        finally:
            events.close()

    def set_vpc_cidrs(self, cidrs: Iterable[IPv4Network]) -> None:
        """Follow the VPC: destinations inside it are reached untranslated."""
        networks = tuple(cidrs)
        if self._nat_plan is not None and self._nat_plan.vpc_cidrs != networks:
            _log.info("the VPC's CIDRs are now %s", ", ".join(map(str, networks)))
            plan = dataclasses.replace(self._nat_plan, vpc_cidrs=networks)
            self._nat.apply(plan)
            self._nat_plan = plan

    @property
    def nat_plan(self) -> NatPlan:
        """What is translated and marked; there is one once the primary ENI is set up."""
        assert self._nat_plan is not None  # noqa: S101 - the start sets the primary ENI up first
        return self._nat_plan

    def start_repairs(self) -> None:
        """Put back from now on what someone removes."""
        self._drift.attach(asyncio.get_running_loop())

    def reaping(self) -> tuple[bool, int]:
        """Whether the thread that deletes links is there, and a number of the links it deletes now. Any thread."""
        return self._reaper.progress()

    def close(self) -> None:
        """Let go of the sockets; links, routes, rules and tables stay."""
        self._drift.close()
        self._reaper.stop()
        self.socket.close()


def nat_plan(
    settings: NetworkSettings, primary_ifname: str, primary_address: IPv4Address, vpc_cidrs: Iterable[IPv4Network]
) -> NatPlan:
    """Return what the node translates and marks. Pure."""
    return NatPlan(
        primary_ifname=primary_ifname,
        primary_address=primary_address,
        vpc_cidrs=tuple(vpc_cidrs),
        excluded_cidrs=settings.exclude_snat_cidrs,
        external_snat=settings.external_snat,
        node_port_support=settings.node_port_support,
        random_ports=RandomPorts(settings.randomize_snat),
        mark=settings.connmark,
        veth_prefix=settings.veth_prefix,
    )


def on_loop(
    loop: asyncio.AbstractEventLoop, callback: Callable[[Sequence[int]], None]
) -> Callable[[Sequence[int]], None]:
    """Return a callback for another thread that runs ``callback`` on the loop; silent once the loop is closed."""

    def call(ifindexes: Sequence[int]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(callback, list(ifindexes))

    return call
