"""Requests to rtnetlink, encoded. Pure: every function returns a :class:`~vpc_cni.netlink.wire.Message`.

``add_`` fails where the thing exists, ``replace_`` does not, ``delete_`` fails where it is absent; callers that
may repeat themselves add ``.tolerating(errno.EEXIST)`` and the like.
"""

import socket
import struct
from collections.abc import Callable, Mapping

from vpc_cni.netlink import uapi
from vpc_cni.netlink.objects import IPAddress, IPInterface, IPNetwork, Neighbour, Route, Rule
from vpc_cni.netlink.uapi import AddrGenMode, InetConf, Scope
from vpc_cni.netlink.wire import Message, attribute, nested, text, u32

IFINFOMSG = struct.Struct("=BBHiII")
IFADDRMSG = struct.Struct("=BBBBI")
RTMSG = struct.Struct("=BBBBBBBBI")
RULE_HEADER = struct.Struct("=BBBBBBBBI")
NDMSG = struct.Struct("=BBHiHBB")
NDTMSG = struct.Struct("=BBH")
_U64 = struct.Struct("=Q")

_CREATE = uapi.NLM_F_CREATE
_EXCLUSIVE = uapi.NLM_F_CREATE | uapi.NLM_F_EXCL
_REPLACE = uapi.NLM_F_CREATE | uapi.NLM_F_REPLACE
# The u8 table field cannot hold these; the attribute does, and the header says "compat" as iproute2 does.
_TABLE_COMPAT = 252
_TABLE_MAX_U8 = 255


def family_of(value: IPAddress | IPNetwork | IPInterface) -> int:
    """Return AF_INET or AF_INET6."""
    return socket.AF_INET if value.version == 4 else socket.AF_INET6


def encode_mac(mac: str) -> bytes:
    """Return the six bytes of ``aa:bb:cc:dd:ee:ff``."""
    return bytes.fromhex(mac.replace(":", ""))


def _ifinfo(ifindex: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return IFINFOMSG.pack(0, 0, 0, ifindex, flags, change)


def add_veth(
    name: str,
    *,
    peer_name: str,
    peer_netns_fd: int | None = None,
    mac: str = "",
    peer_mac: str = "",
    mtu_bytes: int = 0,
    ifindex: int = 0,
    peer_ifindex: int = 0,
    queues: int = 0,
) -> Message:
    """Create a veth pair, the peer at once in the namespace of ``peer_netns_fd`` (None: the same namespace).

    Zero or empty lets the kernel choose. A ``peer_ifindex`` counts only together with ``ifindex``, and must differ
    from it: the kernel takes a link whose peer has the same index for one without a peer. ``queues`` for both
    ends; without it the kernel makes one a CPU. Both ends are down: IFF_UP on the peer in this message gives ENOTCONN.
    """
    shared = (u32(uapi.IFLA_MTU, mtu_bytes) if mtu_bytes else b"") + _queues(queues)
    peer = (
        _ifinfo(peer_ifindex)
        + text(uapi.IFLA_IFNAME, peer_name)
        + (attribute(uapi.IFLA_ADDRESS, encode_mac(peer_mac)) if peer_mac else b"")
        + (u32(uapi.IFLA_NET_NS_FD, peer_netns_fd) if peer_netns_fd is not None else b"")
        + shared
    )
    body = (
        _ifinfo(ifindex)
        + text(uapi.IFLA_IFNAME, name)
        + (attribute(uapi.IFLA_ADDRESS, encode_mac(mac)) if mac else b"")
        + shared
        + nested(
            uapi.IFLA_LINKINFO,
            text(uapi.IFLA_INFO_KIND, "veth"),
            nested(uapi.IFLA_INFO_DATA, attribute(uapi.VETH_INFO_PEER, peer)),
        )
    )
    return Message(uapi.RTM_NEWLINK, _EXCLUSIVE, body, lambda: f"create veth {name} with peer {peer_name}")


def _queues(queues: int) -> bytes:
    if not queues:
        return b""
    return u32(uapi.IFLA_NUM_TX_QUEUES, queues) + u32(uapi.IFLA_NUM_RX_QUEUES, queues)


def add_link(name: str, kind: str, *, mac: str = "", mtu_bytes: int = 0, ifindex: int = 0) -> Message:
    """Create a link of a kind that needs no parameters, for example ``bridge``."""
    body = (
        _ifinfo(ifindex)
        + text(uapi.IFLA_IFNAME, name)
        + (attribute(uapi.IFLA_ADDRESS, encode_mac(mac)) if mac else b"")
        + (u32(uapi.IFLA_MTU, mtu_bytes) if mtu_bytes else b"")
        + nested(uapi.IFLA_LINKINFO, text(uapi.IFLA_INFO_KIND, kind))
    )
    return Message(uapi.RTM_NEWLINK, _EXCLUSIVE, body, lambda: f"create {kind} {name}")


def set_link(
    ifindex: int,
    *,
    up: bool | None = None,
    name: str | None = None,
    mac: str | None = None,
    mtu_bytes: int | None = None,
    alias: str | None = None,
    group: int | None = None,
    master: int | None = None,
    netns_fd: int | None = None,
    addr_gen_mode: AddrGenMode | None = None,
    inet_conf: Mapping[InetConf, int] | None = None,
) -> Message:
    """Change a link; None leaves a property alone. A link must be down to be renamed on kernels before 6.3."""
    flag = uapi.IFF_UP if up else 0
    body = _ifinfo(ifindex, flag, uapi.IFF_UP if up is not None else 0) + b"".join(
        (
            text(uapi.IFLA_IFNAME, name) if name is not None else b"",
            attribute(uapi.IFLA_ADDRESS, encode_mac(mac)) if mac is not None else b"",
            u32(uapi.IFLA_MTU, mtu_bytes) if mtu_bytes is not None else b"",
            attribute(uapi.IFLA_IFALIAS, alias.encode()) if alias is not None else b"",
            u32(uapi.IFLA_GROUP, group) if group is not None else b"",
            u32(uapi.IFLA_MASTER, master) if master is not None else b"",
            u32(uapi.IFLA_NET_NS_FD, netns_fd) if netns_fd is not None else b"",
            _af_spec(addr_gen_mode, inet_conf or {}),
        )
    )
    return Message(uapi.RTM_SETLINK, 0, body, lambda: f"change link {ifindex}")


def _af_spec(addr_gen_mode: AddrGenMode | None, inet_conf: Mapping[InetConf, int]) -> bytes:
    parts = []
    if inet_conf:
        settings = nested(uapi.IFLA_INET_CONF, *(u32(key, value) for key, value in inet_conf.items()))
        parts.append(nested(socket.AF_INET, settings))
    if addr_gen_mode is not None:
        parts.append(nested(socket.AF_INET6, attribute(uapi.IFLA_INET6_ADDR_GEN_MODE, bytes((addr_gen_mode,)))))
    return nested(uapi.IFLA_AF_SPEC, *parts) if parts else b""


def add_altname(ifindex: int, altname: str) -> Message:
    """Give a link one more name, up to 127 characters."""
    body = _ifinfo(ifindex) + nested(uapi.IFLA_PROP_LIST, text(uapi.IFLA_ALT_IFNAME, altname))
    return Message(uapi.RTM_NEWLINKPROP, _EXCLUSIVE, body, lambda: f"name link {ifindex} {altname}")


def get_link(*, ifindex: int = 0, name: str = "") -> Message:
    """Ask for one link, by index or by name (alternative names count)."""
    attributes = u32(uapi.IFLA_EXT_MASK, uapi.RTEXT_FILTER_SKIP_STATS)
    if name:
        attributes += text(uapi.IFLA_ALT_IFNAME, name)
    return Message(uapi.RTM_GETLINK, 0, _ifinfo(ifindex) + attributes, lambda: f"look up link {name or ifindex}")


def delete_link(ifindex: int) -> Message:
    """Delete one link. Waits for a kernel barrier of about 20 ms; see ``delete_link_group``."""
    return Message(uapi.RTM_DELLINK, 0, _ifinfo(ifindex), lambda: f"delete link {ifindex}")


def delete_link_group(group: int) -> Message:
    """Delete all links of a group (never 0) with one barrier for all."""
    return Message(uapi.RTM_DELLINK, 0, _ifinfo() + u32(uapi.IFLA_GROUP, group), lambda: f"delete link group {group}")


def _address_body(ifindex: int, interface: IPInterface, scope: int, flags: int) -> bytes:
    packed = interface.ip.packed
    return (
        IFADDRMSG.pack(family_of(interface), interface.network.prefixlen, flags & 0xFF, scope, ifindex)
        + attribute(uapi.IFA_LOCAL, packed)
        + attribute(uapi.IFA_ADDRESS, packed)
        + (u32(uapi.IFA_FLAGS, flags) if flags else b"")
    )


def add_address(ifindex: int, interface: IPInterface, *, scope: int = Scope.UNIVERSE, flags: int = 0) -> Message:
    """Add an address; ``flags`` are IFA_F_* such as IFA_F_NODAD and IFA_F_NOPREFIXROUTE."""
    body = _address_body(ifindex, interface, scope, flags)
    return Message(uapi.RTM_NEWADDR, _EXCLUSIVE, body, lambda: f"add address {interface} to link {ifindex}")


def delete_address(ifindex: int, interface: IPInterface) -> Message:
    """Remove an address, given with the prefix length it was added with."""
    body = _address_body(ifindex, interface, Scope.UNIVERSE, 0)
    return Message(uapi.RTM_DELADDR, 0, body, lambda: f"remove address {interface} from link {ifindex}")


def _route(kind: int, flags: int, route: Route, label: Callable[[], str]) -> Message:
    destination = route.destination
    family = family_of(destination)
    attributes = [u32(uapi.RTA_TABLE, route.table)]
    if destination.prefixlen:
        attributes.append(attribute(uapi.RTA_DST, destination.network_address.packed))
    if route.gateway is not None:
        attributes.append(attribute(uapi.RTA_GATEWAY, route.gateway.packed))
    if route.oif:
        attributes.append(u32(uapi.RTA_OIF, route.oif))
    if route.preferred_source is not None:
        attributes.append(attribute(uapi.RTA_PREFSRC, route.preferred_source.packed))
    if route.metric:
        attributes.append(u32(uapi.RTA_PRIORITY, route.metric))
    header = RTMSG.pack(
        family,
        destination.prefixlen,
        0,
        0,
        _table_u8(route.table),
        route.protocol,
        route.scope,
        route.kind,
        uapi.RTNH_F_ONLINK if route.onlink else 0,
    )
    return Message(kind, flags, header + b"".join(attributes), label)


def _table_u8(table: int) -> int:
    return table if table <= _TABLE_MAX_U8 else _TABLE_COMPAT


def add_route(route: Route) -> Message:
    """Add a route; EEXIST when one for the same destination, table and metric is there, whatever its link."""
    return _route(uapi.RTM_NEWROUTE, _EXCLUSIVE, route, lambda: f"add route {route.destination} in table {route.table}")


def replace_route(route: Route) -> Message:
    return _route(uapi.RTM_NEWROUTE, _REPLACE, route, lambda: f"set route {route.destination} in table {route.table}")


def delete_route(route: Route) -> Message:
    """Delete a route that has all the given properties (zero and None match anything, scope NOWHERE too)."""
    return _route(uapi.RTM_DELROUTE, 0, route, lambda: f"delete route {route.destination} in table {route.table}")


def _rule(kind: int, flags: int, rule: Rule, label: Callable[[], str]) -> Message:
    source, destination = rule.source, rule.destination
    family = family_of(source or destination) if source or destination else socket.AF_INET  # type: ignore[arg-type]
    attributes = [u32(uapi.FRA_PRIORITY, rule.priority), u32(uapi.FRA_TABLE, rule.table)]
    if source is not None:
        attributes.append(attribute(uapi.FRA_SRC, source.network_address.packed))
    if destination is not None:
        attributes.append(attribute(uapi.FRA_DST, destination.network_address.packed))
    if rule.fwmark or rule.fwmask:
        attributes.append(u32(uapi.FRA_FWMARK, rule.fwmark))
        attributes.append(u32(uapi.FRA_FWMASK, rule.fwmask or uapi.DEFAULT_FWMASK))
    if rule.iif:
        attributes.append(text(uapi.FRA_IIFNAME, rule.iif))
    if rule.oif:
        attributes.append(text(uapi.FRA_OIFNAME, rule.oif))
    header = RULE_HEADER.pack(
        family,
        destination.prefixlen if destination is not None else 0,
        source.prefixlen if source is not None else 0,
        0,
        _table_u8(rule.table),
        0,
        0,
        rule.action,
        rule.flags,
    )
    return Message(kind, flags, header + b"".join(attributes), label)


def add_rule(rule: Rule) -> Message:
    """Add a policy rule; EEXIST when it is there. (Without the exclusive flag the kernel would keep two.)"""
    return _rule(uapi.RTM_NEWRULE, _EXCLUSIVE, rule, lambda: f"add {describe_rule(rule)}")


def delete_rule(rule: Rule) -> Message:
    """Delete one copy of a rule; ENOENT when there is none."""
    return _rule(uapi.RTM_DELRULE, 0, rule, lambda: f"delete {describe_rule(rule)}")


def describe_rule(rule: Rule) -> str:
    """Return a rule as people write it."""
    parts = [f"rule {rule.priority}"]
    if rule.source is not None:
        parts.append(f"from {rule.source}")
    if rule.destination is not None:
        parts.append(f"to {rule.destination}")
    if rule.fwmark or rule.fwmask:
        parts.append(f"fwmark {rule.fwmark:#x}/{rule.fwmask or uapi.DEFAULT_FWMASK:#x}")
    if rule.iif:
        parts.append(f"iif {rule.iif}")
    return " ".join((*parts, f"table {rule.table}"))


def _neighbour(kind: int, flags: int, entry: Neighbour, verb: str) -> Message:
    body = NDMSG.pack(
        family_of(entry.address), 0, 0, entry.ifindex, entry.state, uapi.NTF_PROXY if entry.proxy else 0, 0
    ) + attribute(uapi.NDA_DST, entry.address.packed)
    if entry.mac:
        body += attribute(uapi.NDA_LLADDR, encode_mac(entry.mac))
    return Message(kind, flags, body, lambda: f"{verb} neighbour {entry.address} on link {entry.ifindex}")


def add_neighbour(entry: Neighbour) -> Message:
    return _neighbour(uapi.RTM_NEWNEIGH, _EXCLUSIVE, entry, "add")


def replace_neighbour(entry: Neighbour) -> Message:
    return _neighbour(uapi.RTM_NEWNEIGH, _REPLACE, entry, "set")


def delete_neighbour(entry: Neighbour) -> Message:
    return _neighbour(uapi.RTM_DELNEIGH, 0, entry, "delete")


def set_proxy_delay(ifindex: int, delay_ms: int, *, table: str = "arp_cache") -> Message:
    """Set how long proxied ARP answers of one link are held back (the kernel's default is up to 0.8 s)."""
    body = (
        NDTMSG.pack(socket.AF_INET if table == "arp_cache" else socket.AF_INET6, 0, 0)
        + text(uapi.NDTA_NAME, table)
        + nested(
            uapi.NDTA_PARMS,
            u32(uapi.NDTPA_IFINDEX, ifindex),
            attribute(uapi.NDTPA_PROXY_DELAY, _U64.pack(delay_ms)),
        )
    )
    return Message(uapi.RTM_SETNEIGHTBL, uapi.NLM_F_REPLACE, body, lambda: f"set proxy delay of link {ifindex}")
