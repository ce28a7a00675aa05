"""Thousands of damaged requests with random descriptors into the receiving side: our error or a request, no leak."""

import array
import asyncio
import os
import random
import socket

from vpc_cni.errors import CallerError
from vpc_cni.rpc import Request, encode_request, receive_request
from vpc_cni.rpc.transport import MAX_DESCRIPTORS

SEED = 20240601
CASES = 5000


def damage(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(4):
            case 0:
                del out[at:]
            case 1:
                out[at:at] = rng.randbytes(rng.randint(1, 5))
            case 2:
                del out[at : at + rng.randint(1, 5)]
            case _ if out:
                out[at % len(out)] = rng.randrange(256)
    return bytes(out) or b"v"


async def send_one(rng: random.Random, pool: list[int]) -> bool:
    """Send one case and receive it; True when it was taken for a request."""
    kinds = rng.choice(["", "s", "n", "sn", "ns", "ss", "snx", "é"])
    fds = rng.choices(pool, k=rng.choice([0, 1, 2, 2, 2, 3, MAX_DESCRIPTORS, MAX_DESCRIPTORS + 3]))
    data = damage(rng, encode_request(Request("ADD", rng.randbytes(rng.randrange(40)), "c", descriptors=kinds)))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        ours.setblocking(False)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        theirs.sendmsg([data], ancillary)
        theirs.shutdown(socket.SHUT_WR)
        try:
            _, descriptors = await receive_request(ours, timeout_seconds=5)
        except CallerError:
            return False
        descriptors.close()
        return True


async def send_all(pool: list[int]) -> int:
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    return sum([await send_one(rng, pool) for _ in range(CASES)])


def test_damaged_requests_leak_nothing():
    with (
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink,
        open("/dev/null", "rb") as file,
    ):
        namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
        before = os.listdir("/proc/self/fd")
        taken = asyncio.run(send_all([netlink.fileno(), namespace, file.fileno()]))
        assert os.listdir("/proc/self/fd") == before
        os.close(namespace)
    assert 50 < taken < CASES, "the cases reach both ends"
