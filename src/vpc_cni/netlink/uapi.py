"""Numbers of the kernel's interface, under the names of its headers. No logic.

Source: linux/netlink.h, rtnetlink.h, if_link.h, if_addr.h, neighbour.h, fib_rules.h, netconf.h, ip.h, veth.h.
"""

import enum

# netlink.h: header flags
NLM_F_REQUEST = 0x1
NLM_F_MULTI = 0x2
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_DUMP = 0x300
NLM_F_ACK_TLVS = 0x200

NLMSG_ERROR = 2
NLMSG_DONE = 3
NLMSGERR_ATTR_MSG = 1
NLA_TYPE_MASK = 0x3FFF

# netlink.h: socket options (level SOL_NETLINK)
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
NETLINK_NO_ENOBUFS = 5
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
NETLINK_GET_STRICT_CHK = 12
NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

# rtnetlink.h: message types
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
RTM_NEWNEIGHTBL, RTM_GETNEIGHTBL, RTM_SETNEIGHTBL = 64, 66, 67
RTM_NEWNETCONF, RTM_DELNETCONF, RTM_GETNETCONF = 80, 81, 82
RTM_NEWLINKPROP, RTM_DELLINKPROP = 108, 109

# rtnetlink.h: multicast groups, as numbers for NETLINK_ADD_MEMBERSHIP
RTNLGRP_LINK = 1
RTNLGRP_NEIGH = 3
RTNLGRP_IPV4_IFADDR = 5
RTNLGRP_IPV4_ROUTE = 7
RTNLGRP_IPV4_RULE = 8
RTNLGRP_IPV4_NETCONF = 24
# nfnetlink.h
NFNLGRP_NFTABLES = 7

# if_link.h
IFLA_ADDRESS = 1
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_LINK = 5
IFLA_MASTER = 10
IFLA_OPERSTATE = 16
IFLA_LINKINFO = 18
IFLA_IFALIAS = 20
IFLA_AF_SPEC = 26
IFLA_GROUP = 27
IFLA_NET_NS_FD = 28
IFLA_EXT_MASK = 29
IFLA_NUM_TX_QUEUES = 31
IFLA_NUM_RX_QUEUES = 32
IFLA_CARRIER = 33
IFLA_LINK_NETNSID = 37
IFLA_PROP_LIST = 52
IFLA_ALT_IFNAME = 53
IFLA_INFO_KIND = 1
IFLA_INFO_DATA = 2
VETH_INFO_PEER = 1
IFLA_INET_CONF = 1
IFLA_INET6_ADDR_GEN_MODE = 8
RTEXT_FILTER_SKIP_STATS = 8
IFF_UP = 0x1
IFF_LOWER_UP = 0x10000

# if_addr.h
IFA_ADDRESS = 1
IFA_LOCAL = 2
IFA_FLAGS = 8
IFA_F_NODAD = 0x02
IFA_F_NOPREFIXROUTE = 0x200

# rtnetlink.h: routes
RTA_DST = 1
RTA_OIF = 4
RTA_GATEWAY = 5
RTA_PRIORITY = 6
RTA_PREFSRC = 7
RTA_TABLE = 15
RTNH_F_DEAD = 1
RTNH_F_ONLINK = 4
RT_TABLE_LOCAL = 255

# neighbour.h
NDA_DST = 1
NDA_LLADDR = 2
NDTA_NAME = 1
NDTA_PARMS = 6
NDTPA_IFINDEX = 1
NDTPA_PROXY_DELAY = 13
NTF_PROXY = 0x08

# fib_rules.h
FIB_RULE_INVERT = 2
FRA_DST = 1
FRA_SRC = 2
FRA_IIFNAME = 3
FRA_PRIORITY = 6
FRA_FWMARK = 10
FRA_SUPPRESS_PREFIXLEN = 14
FRA_TABLE = 15
FRA_FWMASK = 16
FRA_OIFNAME = 17
FRA_PAD = 18
FRA_PROTOCOL = 21

# netconf.h
NETCONFA_IFINDEX = 1
NETCONFA_FORWARDING = 2
NETCONFA_RP_FILTER = 3
NETCONFA_IFINDEX_ALL = -1
NETCONFA_IFINDEX_DEFAULT = -2

DEFAULT_FWMASK = 0xFFFFFFFF


class AddrGenMode(enum.IntEnum):
    """How the kernel makes an IPv6 link-local address. Source: in6_addr_gen_mode of if_link.h."""

    EUI64 = 0
    NONE = 1


class InetConf(enum.IntEnum):
    """IPv4 settings of one link that netlink can write. Source: IPV4_DEVCONF_* of linux/ip.h."""

    FORWARDING = 1
    PROXY_ARP = 3
    ACCEPT_REDIRECTS = 4
    SEND_REDIRECTS = 6
    RP_FILTER = 8
    ARP_ANNOUNCE = 18
    ARP_IGNORE = 19
    ACCEPT_LOCAL = 23
    SRC_VMARK = 24
    ROUTE_LOCALNET = 26


class RouteKind(enum.IntEnum):
    """RTN_* of rtnetlink.h: what happens to a packet that a route matches."""

    UNSPEC = 0
    UNICAST = 1
    LOCAL = 2
    BROADCAST = 3
    ANYCAST = 4
    MULTICAST = 5
    BLACKHOLE = 6
    UNREACHABLE = 7
    PROHIBIT = 8
    THROW = 9


class Scope(enum.IntEnum):
    """RT_SCOPE_* of rtnetlink.h: how far away a destination is."""

    UNIVERSE = 0
    SITE = 200
    LINK = 253
    HOST = 254
    NOWHERE = 255


class RouteProtocol(enum.IntEnum):
    """RTPROT_* of rtnetlink.h: who made a route. Other numbers exist and are kept as plain integers."""

    UNSPEC = 0
    REDIRECT = 1
    KERNEL = 2
    BOOT = 3
    STATIC = 4


class RuleAction(enum.IntEnum):
    """FR_ACT_* of fib_rules.h. Other numbers exist and are kept as plain integers."""

    TO_TABLE = 1


class NeighbourState(enum.IntFlag):
    """NUD_* of neighbour.h."""

    NONE = 0
    INCOMPLETE = 0x01
    REACHABLE = 0x02
    STALE = 0x04
    DELAY = 0x08
    PROBE = 0x10
    FAILED = 0x20
    NOARP = 0x40
    PERMANENT = 0x80
