"""Address translation and connection marks of the node, rendered as one nftables table. Pure.

Why it works. A pod on a secondary ENI that talks to the outside: its connection is marked when it starts (chain
``mark_outbound``), every packet of a marked connection that comes from a pod gets the packet mark, the rule at priority
1024 sends marked packets out by the primary ENI, and ``source_nat`` gives them its address. A node port: the
connection is marked when it enters by the primary ENI (``mark_node_port``), and the replies of the pod leave by it.

Three properties of the chains are deliberate. The marking chain at -90 is of type filter: nat chains of one hook end
with the first that maps a connection, so after kube-proxy's DNAT a nat chain there would see nothing. Marks are or-ed
in after a test, so that the bits of others (kube-proxy's 0x4000) survive. And -90 comes after destination NAT at
-100: before it, a Service address looks like the outside.
"""

import enum
import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

TABLE = "vpc-cni"


class RandomPorts(enum.StrEnum):
    """How source ports of translated connections are chosen; values of AWS_VPC_K8S_CNI_RANDOMIZESNAT."""

    PRNG = "prng"
    HASHRANDOM = "hashrandom"
    NONE = "none"


_SNAT_FLAG = {RandomPorts.PRNG: " fully-random", RandomPorts.HASHRANDOM: " random", RandomPorts.NONE: ""}


@dataclass(frozen=True, slots=True)
class NatPlan:
    """What the node translates and marks.

    ``vpc_cidrs`` and ``excluded_cidrs`` are destinations that see pod addresses as they are; order and overlaps do
    not matter. ``mark`` are the bits that belong to the agent.
    """

    primary_ifname: str
    primary_address: IPv4Address
    vpc_cidrs: tuple[IPv4Network, ...]
    excluded_cidrs: tuple[IPv4Network, ...] = ()
    external_snat: bool = False
    node_port_support: bool = True
    random_ports: RandomPorts = RandomPorts.PRNG
    mark: int = 0x80
    veth_prefix: str = "eni"

    @property
    def needs_mark_rule(self) -> bool:
        """Whether marked packets exist, so that the rule at priority 1024 is needed."""
        return self.node_port_support or not self.external_snat


def render_replacement(plan: NatPlan) -> str:
    """Return the commands that replace our table by what the plan says, in one transaction. Pure.

    With nothing to mark and nothing to translate the table goes away.
    """
    remove = f"add table ip {TABLE}\ndelete table ip {TABLE}\n"
    chains = _chains(plan)
    if not chains:
        return remove
    return remove + f"table ip {TABLE} {{\n" + "\n".join((_untranslated(plan), *chains)) + "\n}\n"


def _untranslated(plan: NatPlan) -> str:
    """Return the set of destinations outside the reach of SNAT; merged, since intervals must not overlap."""
    networks = ipaddress.collapse_addresses((*plan.vpc_cidrs, *plan.excluded_cidrs))
    elements = ", ".join(str(network) for network in networks)
    body = f"\t\telements = {{ {elements} }}\n" if elements else ""
    return f"\tset untranslated {{\n\t\ttype ipv4_addr\n\t\tflags interval\n{body}\t}}"


def _chains(plan: NatPlan) -> list[str]:
    chains = []
    if plan.node_port_support:
        chains.append(_node_port_chain(plan))
    if not plan.external_snat:
        chains.append(_outbound_chain(plan))
        chains.append(_snat_chain(plan))
    return chains


def _chain(name: str, hook: str, *rules: str) -> str:
    lines = "".join(f"\t\t{rule}\n" for rule in rules)
    return f"\tchain {name} {{\n\t\ttype {hook}; policy accept;\n{lines}\t}}"


def _restore_mark(plan: NatPlan) -> str:
    bits = f"{plan.mark:#010x}"
    return f'iifname "{plan.veth_prefix}*" ct mark & {bits} == {bits} meta mark set meta mark | {bits}'


def _node_port_chain(plan: NatPlan) -> str:
    bits = f"{plan.mark:#010x}"
    enter = f'iifname "{plan.primary_ifname}" fib daddr . iif type local ct mark set ct mark | {bits}'
    return _chain("mark_node_port", "filter hook prerouting priority mangle", enter, _restore_mark(plan))


def _outbound_chain(plan: NatPlan) -> str:
    bits = f"{plan.mark:#010x}"
    start = (
        f'iifname "{plan.veth_prefix}*" ct state new ct direction original fib daddr type != local '
        f"ip daddr != @untranslated ct mark set ct mark | {bits}"
    )
    return _chain("mark_outbound", "filter hook prerouting priority -90", start, _restore_mark(plan))


def _snat_chain(plan: NatPlan) -> str:
    # The node's own connections already have the address. Translating them would change the port of those that were
    # open when the table came: conntrack takes their next packet for a new connection, and their peer resets them.
    snat = (
        f'oifname != "vlan*" ip saddr != {plan.primary_address} '
        "ip daddr != @untranslated fib daddr type != local "
        f"snat to {plan.primary_address}{_SNAT_FLAG[plan.random_ports]}"
    )
    return _chain("source_nat", "nat hook postrouting priority srcnat", snat)
