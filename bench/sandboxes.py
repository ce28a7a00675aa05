"""Pods without containers: a fresh network namespace with a path, and what a runtime knows about it.

Made and thrown away outside the timed parts.
"""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.links import wait_all_gone
from vpc_cni.netlink.messages import add_veth
from vpc_cni.netlink.netns import Netns, unbind


@dataclass(slots=True)
class Sandbox:
    """One pod network identity and what ADD said about it.

    Args:
        result: the JSON text that ADD printed; empty before.
        host_link: name of the link on the node; empty before ADD.
    """

    container_id: str
    pod_name: str
    netns_path: Path
    result: bytes = field(default=b"", repr=False)
    host_link: str = ""

    def environment(self, command: str, plugin_path: str) -> Mapping[str, str]:
        """Return the variables of one CNI call. Source: CNI SPEC.md section 2, "Parameters"."""
        return {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.container_id,
            "CNI_NETNS": str(self.netns_path),
            "CNI_IFNAME": "eth0",
            "CNI_PATH": plugin_path,
            "CNI_ARGS": (
                "IgnoreUnknown=1;K8S_POD_NAMESPACE=bench;"
                f"K8S_POD_NAME={self.pod_name};K8S_POD_INFRA_CONTAINER_ID={self.container_id}"
            ),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }


class SandboxFolder:
    """Makes and removes sandboxes below one folder, which must be private to this process."""

    def __init__(self, folder: Path, label: str) -> None:
        self._folder = folder
        self._label = label
        self._numbers: Iterator[int] = itertools.count(1)

    def create(self, count: int) -> list[Sandbox]:
        """Make fresh namespaces, loopback up as a runtime leaves them."""
        return [self._create_one(next(self._numbers)) for _ in range(count)]

    def _create_one(self, number: int) -> Sandbox:
        name = f"{self._label}-{number}"
        path = self._folder / name
        with Netns.create(lo_up=True) as netns:
            netns.bind_to(path)
        return Sandbox(hashlib.sha256(name.encode()).hexdigest(), name, path)

    def discard(self, sandboxes: Sequence[Sandbox]) -> None:
        """Give up namespaces; the kernel frees them in the background."""
        for sandbox in sandboxes:
            unbind(sandbox.netns_path)


def wait_freed(timeout_seconds: float = 20.0) -> None:
    """Wait until the kernel has freed the namespaces given up so far, so that this work meets nobody's timed part.

    It frees them in order: a link into one more namespace, given up last, disappears when all others have gone.

    Raises:
        HostError: they are still there.
    """
    with Netns.create() as near:
        with Netns.create() as far, near.route_socket() as sock:
            sock.execute([add_veth("sentinel", peer_name="far", peer_netns_fd=far.fd)])
        near.run(wait_all_gone, ["sentinel"], timeout_seconds)
