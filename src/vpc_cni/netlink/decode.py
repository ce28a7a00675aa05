"""Answers and events of rtnetlink, decoded into the values of ``objects``. Pure.

Every function takes the body of one message (fixed part and attributes), without its header.
"""

import ipaddress
import struct

from vpc_cni.netlink import uapi
from vpc_cni.netlink.messages import IFADDRMSG, IFINFOMSG, NDMSG, RTMSG, RULE_HEADER
from vpc_cni.netlink.objects import (
    ANY_IPV4,
    ANY_IPV6,
    Address,
    IPNetwork,
    Link,
    Neighbour,
    NetConf,
    Route,
    Rule,
)
from vpc_cni.netlink.wire import iter_attributes, parse_attributes, parse_text, parse_u32

_AF_INET = 2
_S32 = struct.Struct("=i")
_NO_ATTRIBUTE = b"\0\0\0\0"
_KNOWN_SELECTORS = frozenset(
    (
        uapi.FRA_DST,
        uapi.FRA_SRC,
        uapi.FRA_IIFNAME,
        uapi.FRA_OIFNAME,
        uapi.FRA_PRIORITY,
        uapi.FRA_FWMARK,
        uapi.FRA_FWMASK,
        uapi.FRA_TABLE,
        uapi.FRA_PAD,
        uapi.FRA_PROTOCOL,
        uapi.FRA_SUPPRESS_PREFIXLEN,
    )
)


def parse_link(body: bytes) -> Link:
    _family, _pad, _type, ifindex, flags, _change = IFINFOMSG.unpack_from(body)
    found = parse_attributes(body, IFINFOMSG.size)
    info = parse_attributes(found.get(uapi.IFLA_LINKINFO, b""))
    properties = iter_attributes(found.get(uapi.IFLA_PROP_LIST, b""))
    return Link(
        ifindex=ifindex,
        name=parse_text(found.get(uapi.IFLA_IFNAME, b"")),
        flags=flags,
        mac=format_mac(found.get(uapi.IFLA_ADDRESS, b"")),
        mtu_bytes=_u32_of(found, uapi.IFLA_MTU),
        kind=parse_text(info.get(uapi.IFLA_INFO_KIND, b"")),
        alias=parse_text(found.get(uapi.IFLA_IFALIAS, b"")),
        group=_u32_of(found, uapi.IFLA_GROUP),
        altnames=tuple(parse_text(value) for kind, value in properties if kind == uapi.IFLA_ALT_IFNAME),
        master=_u32_of(found, uapi.IFLA_MASTER),
        peer_ifindex=_u32_of(found, uapi.IFLA_LINK),
        peer_nsid=_S32.unpack(found.get(uapi.IFLA_LINK_NETNSID, b"\xff\xff\xff\xff"))[0],
        operstate=found.get(uapi.IFLA_OPERSTATE, b"\0")[0],
    )


def format_mac(payload: bytes) -> str:
    """Return a hardware address as lower-case text; empty when it is not six bytes long."""
    return payload.hex(":") if len(payload) == 6 else ""


def _u32_of(found: dict[int, bytes], kind: int) -> int:
    return parse_u32(found.get(kind, _NO_ATTRIBUTE))


def parse_address(body: bytes) -> Address:
    """Decode an address; of a point-to-point pair the local side is meant."""
    _family, prefixlen, flags, scope, ifindex = IFADDRMSG.unpack_from(body)
    found = parse_attributes(body, IFADDRMSG.size)
    local = ipaddress.ip_address(found.get(uapi.IFA_LOCAL) or found[uapi.IFA_ADDRESS])
    if uapi.IFA_FLAGS in found:
        flags = parse_u32(found[uapi.IFA_FLAGS])
    return Address(ifindex, ipaddress.ip_interface(f"{local}/{prefixlen}"), scope, flags)


def parse_route(body: bytes) -> Route:
    family, length, _src_len, _tos, table_u8, protocol, scope, kind, flags = RTMSG.unpack_from(body)
    found = parse_attributes(body, RTMSG.size)
    gateway, source = found.get(uapi.RTA_GATEWAY), found.get(uapi.RTA_PREFSRC)
    return Route(
        destination=_network(family, found.get(uapi.RTA_DST), length),
        table=parse_u32(found[uapi.RTA_TABLE]) if uapi.RTA_TABLE in found else table_u8,
        oif=_u32_of(found, uapi.RTA_OIF),
        gateway=ipaddress.ip_address(gateway) if gateway else None,
        scope=scope,
        kind=kind,
        protocol=protocol,
        metric=_u32_of(found, uapi.RTA_PRIORITY),
        preferred_source=ipaddress.ip_address(source) if source else None,
        onlink=bool(flags & uapi.RTNH_F_ONLINK),
    )


def _network(family: int, packed: bytes | None, length: int) -> IPNetwork:
    if packed is None:
        return ANY_IPV4 if family == _AF_INET else ANY_IPV6
    if family == _AF_INET:
        return ipaddress.IPv4Network((packed, length))
    return ipaddress.IPv6Network((packed, length))


def parse_rule(body: bytes) -> Rule:
    family, dst_len, src_len, _tos, table_u8, _r1, _r2, action, flags = RULE_HEADER.unpack_from(body)
    found = parse_attributes(body, RULE_HEADER.size)
    return Rule(
        priority=_u32_of(found, uapi.FRA_PRIORITY),
        table=parse_u32(found[uapi.FRA_TABLE]) if uapi.FRA_TABLE in found else table_u8,
        source=_network(family, found[uapi.FRA_SRC], src_len) if uapi.FRA_SRC in found else None,
        destination=_network(family, found[uapi.FRA_DST], dst_len) if uapi.FRA_DST in found else None,
        fwmark=_u32_of(found, uapi.FRA_FWMARK),
        fwmask=_u32_of(found, uapi.FRA_FWMASK),
        iif=parse_text(found.get(uapi.FRA_IIFNAME, b"")),
        oif=parse_text(found.get(uapi.FRA_OIFNAME, b"")),
        action=action,
        flags=flags & uapi.FIB_RULE_INVERT,  # the rest is state: permanent, detached, unresolved
        other_selectors=frozenset(found) - _KNOWN_SELECTORS,
    )


def parse_neighbour(body: bytes) -> Neighbour:
    _family, _p1, _p2, ifindex, state, flags, _kind = NDMSG.unpack_from(body)
    found = parse_attributes(body, NDMSG.size)
    return Neighbour(
        ifindex=ifindex,
        address=ipaddress.ip_address(found[uapi.NDA_DST]),
        mac=format_mac(found.get(uapi.NDA_LLADDR, b"")),
        state=state,
        proxy=bool(flags & uapi.NTF_PROXY),
    )


def parse_netconf(body: bytes) -> NetConf:
    found = parse_attributes(body, 4)  # struct netconfmsg: one byte of family, padded
    return NetConf(
        ifindex=_S32.unpack(found[uapi.NETCONFA_IFINDEX])[0],
        forwarding=_s32_of(found, uapi.NETCONFA_FORWARDING),
        rp_filter=_s32_of(found, uapi.NETCONFA_RP_FILTER),
    )


def _s32_of(found: dict[int, bytes], kind: int) -> int:
    value: int = _S32.unpack(found.get(kind, b"\xff\xff\xff\xff"))[0]
    return value
