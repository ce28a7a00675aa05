"""Numbers that tell one pod link from another: interface indexes and hardware addresses. Pure."""

import hashlib
import itertools
import random
from collections.abc import Collection, Iterator

from vpc_cni.model import SandboxKey

# The kernel counts indexes up from 1; ours start far above, so that the two never meet.
_INDEX_FLOOR = 1 << 24
_INDEX_CEILING = 1 << 30
_INDEX_WINDOW = 1 << 26
_ATTEMPTS = 1000
# Inside the pod, above the indexes that fallback tunnel devices take in a new namespace. The same number for every
# pod: it must only differ from the host end's, see messages.add_veth.
CONTAINER_IFINDEX = 64


def ifindex_source(taken: Collection[int], rng: random.Random) -> Iterator[int]:
    """Yield interface indexes for new host links, each once.

    A run of the agent takes a stretch of its own, so an index that a former run used does not come back while
    someone may still hold it for the old link.

    Args:
        taken: indexes in use; none of them is yielded before the stretch of 2^26 is used up.
    """
    start = _INDEX_FLOOR
    for _attempt in range(_ATTEMPTS):
        start = rng.randrange(_INDEX_FLOOR, _INDEX_CEILING - _INDEX_WINDOW)
        if not any(start <= index < start + _INDEX_WINDOW for index in taken):
            break
    return itertools.count(start)


def derive_mac(key: SandboxKey, end: str) -> str:
    """Return the hardware address of one end (``host`` or ``container``) of a sandbox's pair.

    Locally administered and unicast. The same for a repeated ADD, different for every sandbox. Fixed at creation,
    so that udev's MACAddressPolicy=persistent leaves it alone: the pod holds it as a permanent neighbour.
    """
    return mac_of_alias(key.alias, end)


def mac_of_alias(alias: str, end: str) -> str:
    """Return what ``derive_mac`` gave to the pair whose host end has this alias: a proof that we made a link."""
    digest = bytearray(hashlib.sha256(f"{alias}#{end}".encode()).digest()[:6])
    digest[0] = digest[0] & 0xFC | 0x02
    return digest.hex(":")
