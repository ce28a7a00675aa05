"""Which wanted objects an event of the kernel puts in doubt. Pure.

An event tells what happened, not what is: by the time it is read, things may be right again, or it was a change of
ours. So events only name suspects; ``drift`` then asks the kernel for each by an exclusive add.
"""

import struct
from dataclasses import dataclass, field

from vpc_cni.netlink import decode, uapi
from vpc_cni.netlink.desired import DesiredState, NeighbourKey, RouteKey, route_key
from vpc_cni.netlink.objects import NetConf, Rule
from vpc_cni.netlink.uapi import IFF_UP, InetConf
from vpc_cni.netlink.wire import Answer

_IFINFO = struct.Struct("=BBHiII")
_CREATED = 0xFFFFFFFF  # ifi_change of a link that is new: its flags changed from nothing


@dataclass(slots=True)
class Suspects:
    """Objects to look at. ``changed`` ones may be there with other content; the others may be missing."""

    routes: set[RouteKey] = field(default_factory=set)
    changed_routes: set[RouteKey] = field(default_factory=set)
    rules: set[Rule] = field(default_factory=set)
    neighbours: set[NeighbourKey] = field(default_factory=set)
    changed_neighbours: set[NeighbourKey] = field(default_factory=set)
    links_down: set[int] = field(default_factory=set)
    links_gone: set[int] = field(default_factory=set)
    settings: set[int] = field(default_factory=set)
    forwarding_off: bool = False

    def __bool__(self) -> bool:
        return self.forwarding_off or any(
            (
                self.routes,
                self.changed_routes,
                self.rules,
                self.neighbours,
                self.changed_neighbours,
                self.links_down,
                self.links_gone,
                self.settings,
            )
        )


def note_event(suspects: Suspects, desired: DesiredState, event: Answer) -> None:
    """Add to ``suspects`` what an event puts in doubt. Events of unwanted objects cost little."""
    match event.type:
        case uapi.RTM_NEWLINK | uapi.RTM_DELLINK:
            _note_link(suspects, desired, event)
        case uapi.RTM_NEWROUTE | uapi.RTM_DELROUTE:
            _note_route(suspects, desired, event)
        case uapi.RTM_DELRULE:
            rule = decode.parse_rule(event.body)
            if rule in desired.rules:
                suspects.rules.add(rule)
        case uapi.RTM_NEWNEIGH | uapi.RTM_DELNEIGH:
            _note_neighbour(suspects, desired, event)
        case uapi.RTM_NEWNETCONF:
            _note_settings(suspects, desired, decode.parse_netconf(event.body))


def _note_link(suspects: Suspects, desired: DesiredState, event: Answer) -> None:
    family, _pad, _type, ifindex, flags, change = _IFINFO.unpack_from(event.body)
    if family or ifindex not in desired.settings:  # bridges announce their ports under a family of their own
        return
    if event.type == uapi.RTM_DELLINK:
        suspects.links_gone.add(ifindex)
    elif change != _CREATED and change & IFF_UP and not flags & IFF_UP and ifindex in desired.links_up:
        suspects.links_down.add(ifindex)


def _note_route(suspects: Suspects, desired: DesiredState, event: Answer) -> None:
    if event.body[4] == uapi.RT_TABLE_LOCAL:
        return
    route = decode.parse_route(event.body)
    key = route_key(route)
    wanted = desired.routes.get(key)
    if wanted is None:
        return
    if event.type == uapi.RTM_DELROUTE:
        suspects.routes.add(key)
    elif wanted.path != route.path:
        suspects.changed_routes.add(key)


def _note_neighbour(suspects: Suspects, desired: DesiredState, event: Answer) -> None:
    if not desired.neighbours:
        return
    entry = decode.parse_neighbour(event.body)
    key = entry.ifindex, entry.address
    wanted = desired.neighbours.get(key)
    if wanted is None or entry.proxy:
        return
    if event.type == uapi.RTM_DELNEIGH:
        suspects.neighbours.add(key)
    elif (wanted.mac, wanted.state) != (entry.mac, entry.state):
        suspects.changed_neighbours.add(key)


def _note_settings(suspects: Suspects, desired: DesiredState, present: NetConf) -> None:
    if present.ifindex == uapi.NETCONFA_IFINDEX_ALL:
        suspects.forwarding_off = suspects.forwarding_off or present.forwarding == 0
    elif differs(desired, present):
        suspects.settings.add(present.ifindex)


def differs(desired: DesiredState, present: NetConf) -> bool:
    """Whether a link's settings are known and not as wanted."""
    values = {InetConf.FORWARDING: present.forwarding, InetConf.RP_FILTER: present.rp_filter}
    wanted = desired.settings.get(present.ifindex, {})
    return any(values.get(name, -1) not in {-1, value} for name, value in wanted.items())
