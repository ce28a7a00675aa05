"""nftables inside one of the lab's namespaces, and reading its named counters."""

import re

from vpc_cni.netlink.netns import Netns
from vpc_cni.netlink.nftables import Nftables

_COUNTER = re.compile(r"counter (\S+) \{\s*packets (\d+)")


def open_nftables(netns: Netns) -> Nftables:
    """Make a libnftables context that works in a namespace, whichever thread uses it later (one at a time).

    Raises:
        HostError: the library is missing.
    """
    # A context opens its netlink socket when it is made, so it stays where it was made.
    return netns.run(Nftables)


def list_counters(nftables: Nftables, table: str) -> dict[str, int]:
    """Return the packets of each named counter of an inet table."""
    return parse_counters(nftables.run(f"list counters table inet {table}"))


def parse_counters(listing: str) -> dict[str, int]:
    """Read ``list counters`` as nft prints it. Pure."""
    return {name: int(packets) for name, packets in _COUNTER.findall(listing)}
