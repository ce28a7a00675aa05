"""The iptables rules of the reference implementation as values, and the kernel's form of their matches. Pure.

A node is taken over from it and handed back to it, so its chains must be known and must be made again exactly. Both
kinds of iptables hold matches and targets in the same structures (linux/netfilter/xt_*.h), which are made here once.
Source of the rules: amazon-vpc-cni-k8s pkg/networkutils.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from vpc_cni.netlink.nat import NatPlan, RandomPorts

NAT, MANGLE = "nat", "mangle"
SNAT_CHAIN, CONNMARK_CHAIN = "AWS-SNAT-CHAIN-0", "AWS-CONNMARK-CHAIN-0"
CHAIN_PREFIXES = (b"AWS-SNAT-CHAIN-", b"AWS-CONNMARK-CHAIN-")
# By these words its rules are known in the chains that it shares with others.
_COMMENTS = (
    b"AWS, primary ENI\0",
    b"AWS, outbound connections\0",
    b"AWS, CONNMARK\0",
    b"AWS, SNAT\0",
    b"AWS SNAT CHAIN",
)
RETURN = "RETURN"

_COMMENT_BYTES = 256
_TYPE_LOCAL = 1 << 2
_DESTINATION_INVERTED, _LIMIT_IN = 0x02, 0x04
_CONNMARK_SET, _CONNMARK_RESTORE = 0, 2
_NAT_MAP_ADDRESS = 1
_NAT_RANDOM = {RandomPorts.PRNG: 1 << 4, RandomPorts.HASHRANDOM: 1 << 2, RandomPorts.NONE: 0}


@dataclass(frozen=True, slots=True)
class Extension:
    """A match or a target of iptables: ``info`` is its structure as the kernel takes it."""

    name: str
    revision: int
    info: bytes


@dataclass(frozen=True, slots=True)
class XtRule:
    """A rule of iptables. ``verdict`` is RETURN or a chain to jump to; empty where ``target`` decides.

    Interface names may end with ``+``. ``not_out_interface`` excludes that interface.
    """

    chain: str
    matches: tuple[Extension, ...]
    verdict: str = ""
    target: Extension | None = None
    in_interface: str = ""
    not_out_interface: str = ""
    destination: IPv4Network | None = None


def is_of_reference(raw_rule: bytes) -> bool:
    """Whether a rule, in the kernel's form, is one of the reference's."""
    return any(word in raw_rule for word in (*CHAIN_PREFIXES, *_COMMENTS))


def reference_rules(plan: NatPlan) -> dict[str, tuple[XtRule, ...]]:
    """Return the reference's rules for a plan, in order, by table. A chain's own rules come before the jump to it."""
    translates, node_ports = not plan.external_snat, plan.node_port_support
    nat = (*_connmark_chain(plan), *_snat_chain(plan)) if translates else ()
    primary = comment("AWS, primary ENI")
    mangle: list[XtRule] = []
    if node_ports:
        entered = (primary, _addrtype(_LIMIT_IN))
        mangle.append(
            XtRule("PREROUTING", entered, target=_set_mark(plan.mark), in_interface=plan.primary_ifname),
        )
    if node_ports or translates:
        mangle.append(_restore(primary, plan, f"{plan.veth_prefix}+"))
    if node_ports:
        mangle.append(_restore(primary, plan, "vlan+"))
    return {NAT: tuple(nat), MANGLE: tuple(mangle)}


def _restore(said: Extension, plan: NatPlan, in_interface: str = "") -> XtRule:
    return XtRule("PREROUTING", (said,), target=_restore_mark(plan.mark), in_interface=in_interface)


def _connmark_chain(plan: NatPlan) -> tuple[XtRule, ...]:
    said = comment("AWS, CONNMARK")
    return (
        *_returns(plan, CONNMARK_CHAIN, "AWS CONNMARK CHAIN, VPC CIDR", "AWS CONNMARK CHAIN, EXCLUDED CIDR"),
        XtRule(CONNMARK_CHAIN, (said,), target=_set_mark(plan.mark)),
        XtRule(
            "PREROUTING",
            (comment("AWS, outbound connections"),),
            verdict=CONNMARK_CHAIN,
            in_interface=f"{plan.veth_prefix}+",
        ),
        _restore(said, plan),
    )


def _snat_chain(plan: NatPlan) -> tuple[XtRule, ...]:
    matches = (comment("AWS, SNAT"), _addrtype(_DESTINATION_INVERTED))
    target = _snat(plan.primary_address, plan.random_ports)
    return (
        *_returns(plan, SNAT_CHAIN, "AWS SNAT CHAIN", "AWS SNAT CHAIN EXCLUSION"),
        XtRule(SNAT_CHAIN, matches, target=target, not_out_interface="vlan+"),
        XtRule("POSTROUTING", (comment("AWS SNAT CHAIN"),), verdict=SNAT_CHAIN),
    )


def _returns(plan: NatPlan, chain: str, inside: str, excluded: str) -> list[XtRule]:
    return [
        XtRule(chain, (comment(words),), verdict=RETURN, destination=cidr)
        for words, cidrs in ((inside, plan.vpc_cidrs), (excluded, plan.excluded_cidrs))
        for cidr in cidrs
    ]


def comment(words: str) -> Extension:
    """Return the match that matches always and says something."""
    return Extension("comment", 0, words.encode().ljust(_COMMENT_BYTES, b"\0"))


def _addrtype(flags: int) -> Extension:
    """Return the match on a destination that is one of this host's addresses."""
    return Extension("addrtype", 1, struct.pack("=HHI", 0, _TYPE_LOCAL, flags))


def _set_mark(bits: int) -> Extension:
    return Extension("CONNMARK", 2, struct.pack("=IIIBBBx", bits, bits, 0xFFFFFFFF, 0, 0, _CONNMARK_SET))


def _restore_mark(bits: int) -> Extension:
    return Extension("CONNMARK", 2, struct.pack("=IIIBBBx", 0, bits, bits, 0, 0, _CONNMARK_RESTORE))


def _snat(address: IPv4Address, ports: RandomPorts) -> Extension:
    flags = _NAT_MAP_ADDRESS | _NAT_RANDOM[ports]
    return Extension("SNAT", 0, struct.pack("=II4s4sHH", 1, flags, address.packed, address.packed, 0, 0))
