"""Node ports in nftables, as a proxy for local endpoints makes them: destination changed, source kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vpc_cni.lab.check.runner import NodePort
from vpc_cni.lab.fabric.nft import NftSession
from vpc_cni.netlink.netns import Netns

TABLE = "lab_check"


@contextmanager
def open_node_ports(netns: Netns, ports: Sequence[NodePort]) -> Iterator[None]:
    """Open ports on a node. The table is gone afterwards; mappings of running connections end with them."""
    session = NftSession.open(netns)
    try:
        session.run(f"add table ip {TABLE}\ndelete table ip {TABLE}\n" + node_port_rules(ports))
        yield
        session.run(f"delete table ip {TABLE}\n")
    finally:
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
