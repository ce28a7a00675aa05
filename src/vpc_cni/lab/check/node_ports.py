"""Node ports in nftables, as a proxy for local endpoints makes them: destination changed, source kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vpc_cni.lab.check.runner import NodePort
from vpc_cni.lab.fabric.nft import open_nftables
from vpc_cni.netlink.netns import Netns

TABLE = "lab_check"
# Deleting what may be absent takes two commands in nft of Debian 12: "destroy" came later.
_REMOVE = f"add table ip {TABLE}\ndelete table ip {TABLE}\n"


@contextmanager
def open_node_ports(netns: Netns, ports: Sequence[NodePort]) -> Iterator[None]:
    """Open ports on a node. The table is gone afterwards; mappings of running connections end with them."""
    session = open_nftables(netns)
    try:
        session.run(_REMOVE + node_port_rules(ports))
        yield
    finally:
        session.run(_REMOVE)
        session.close()


def node_port_rules(ports: Sequence[NodePort]) -> str:
    """Return the table. Pure."""
    rules = "\n".join(
        f"    fib daddr type local meta l4proto {{ tcp, udp }} th dport {each.port} "
        f"dnat to {each.address}:{each.target_port}"
        for each in ports
    )
    return f"""
table ip {TABLE} {{
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
{rules}
  }}
}}
"""
