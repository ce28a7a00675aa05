"""Waiting for the link of an ENI: by hardware address, on kernel events, with a deadline."""

import asyncio
import errno
from collections.abc import Sequence

from vpc_cni.errors import KernelError
from vpc_cni.netlink.events import EventSocket
from vpc_cni.netlink.messages import encode_mac
from vpc_cni.netlink.objects import Link
from vpc_cni.netlink.route_socket import RouteSocket

# Links stacked on an ENI inherit its hardware address.
_STACKED_KINDS = frozenset(("vlan", "macvlan", "macvtap", "ipvlan", "bridge", "bond", "vxlan"))


def link_by_mac(links: Sequence[Link], mac: str) -> Link | None:
    """Return the link of an ENI: the oldest one with its hardware address, stacked links excepted. Pure."""
    matching = [link for link in links if link.mac == mac.lower() and link.kind not in _STACKED_KINDS]
    return min(matching, key=lambda link: link.ifindex, default=None)


async def wait_for_link(mac: str, host: RouteSocket, events: EventSocket, *, timeout_seconds: float) -> Link:
    """Return the link with a hardware address, at once or as soon as the kernel announces it.

    Args:
        host: to look at the links that are there.
        events: listens to RTNLGRP_LINK, opened before this call; stays the caller's, who must not read it meanwhile.

    Raises:
        KernelError: ENODEV, no such link within the time.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Link] = loop.create_future()
    mark = encode_mac(mac)

    def look() -> None:
        link = link_by_mac(host.list_links(), mac)
        if link is not None and not found.done():
            found.set_result(link)

    def on_events() -> None:
        try:
            datagrams, lost = events.drain()
            if lost or any(mark in datagram for datagram in datagrams):
                look()
        except KernelError as err:
            if not found.done():
                found.set_exception(err)

    look()
    loop.add_reader(events.fileno(), on_events)
    try:
        return await asyncio.wait_for(found, timeout_seconds)
    except TimeoutError:
        raise KernelError(
            f"no link with hardware address {mac} appeared within {timeout_seconds:g} s",
            errno=errno.ENODEV,
            hint="see whether the interface is attached to this instance",
        ) from None
    finally:
        loop.remove_reader(events.fileno())
