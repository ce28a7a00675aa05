"""Labs of one node in the shape that a measurement needs."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from bench.tmpfs import LAB_NAME
from vpc_cni.errors import HostError
from vpc_cni.lab import Lab

LARGE_TYPE = "m5.24xlarge"
ADDRESSES = 735  # 15 ENIs with 49 secondary addresses each
MANY_TYPE = "lab.max"
_WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.1


def open_lab(instance_type: str, env: Mapping[str, str], **options: Any) -> Lab:
    """Return a lab that is not up yet. An agent that dies stays dead: its figures would be worth nothing."""
    return Lab(nodes=1, instance_type=instance_type, name=LAB_NAME, env=env, supervise=False, **options)


@contextlib.contextmanager
def full_lab(instance_type: str, addresses: int, env: Mapping[str, str], **options: Any) -> Iterator[Lab]:
    """Run a lab whose node holds so many addresses, in use or not, and changes its pool no more.

    The warm target is so high that the pool only grows: no EC2 call falls into a timed part.
    """
    with open_lab(instance_type, {"WARM_IP_TARGET": str(addresses), **env}, **options) as lab:
        wait_for_addresses(lab, addresses)
        yield lab


def wait_for_addresses(lab: Lab, count: int) -> None:
    """Wait until the node has at least so many secondary addresses and its agent has had the time to see them.

    Raises:
        HostError: it does not get there.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    held = 0
    while time.monotonic() < deadline:
        held = sum(len(eni.addresses) for eni in lab.nodes[0].enis)
        if held >= count:
            time.sleep(1.0)
            return
        time.sleep(_POLL_SECONDS)
    raise HostError(
        f"the node holds {held} of {count} addresses after {_WAIT_SECONDS:g} s",
        hint=f"see {lab.nodes[0].agent_log_path}",
    )
