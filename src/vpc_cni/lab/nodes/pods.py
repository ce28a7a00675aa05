"""Pods of one node: a namespace each, attached and detached by the runtime, with the times it took."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import TypeVar

from vpc_cni.errors import CallerError, HostError, VpcCniError
from vpc_cni.lab.namespaces import NetnsFolder
from vpc_cni.lab.runtime import Attachment, Runtime
from vpc_cni.netlink.netns import Netns

T = TypeVar("T")

POD_NAMESPACE = "default"
POD_IFNAME = "eth0"


@dataclass(frozen=True, slots=True)
class Pod:
    """A running pod. ``netns`` names its namespace; times are milliseconds of the whole ADD."""

    name: str
    node: str
    netns: str
    attachment: Attachment
    address: IPv4Address
    add_milliseconds: float


class PodSet:
    """Owns the pods of one node.

    Args:
        netns: the node's namespace, where plugins run.
        threads: where plugin calls wait; the event loop does not.
    """

    def __init__(self, node: str, netns: Netns, folder: NetnsFolder, runtime: Runtime, threads: Executor) -> None:
        self._node = node
        self._netns = netns
        self._folder = folder
        self._runtime = runtime
        self._threads = threads
        self._pods: dict[str, Pod] = {}

    def __iter__(self) -> Iterator[Pod]:
        return iter(list(self._pods.values()))

    def __len__(self) -> int:
        return len(self._pods)

    def get(self, name: str) -> Pod | None:
        return self._pods.get(name)

    async def add(self, name: str) -> Pod:
        """Make a namespace and attach it.

        Raises:
            PluginError, HostError, ConfigurationError: the ADD failed; nothing of the pod is left.
        """
        netns_name = f"pod.{name}"
        self._folder.create(netns_name)
        attachment = self._attachment(name, netns_name)
        try:
            result, elapsed = await self._in_node(lambda: timed(lambda: self._runtime.add(attachment)))
            address = pod_address(result)
        except VpcCniError:
            self._folder.delete(netns_name)
            raise
        pod = Pod(name, self._node, netns_name, attachment, address, elapsed)
        self._pods[name] = pod
        return pod

    async def delete(self, name: str) -> float:
        """Detach a pod and drop its namespace; returns the milliseconds of the DEL.

        Raises:
            CallerError: there is no such pod.
            PluginError, HostError: the DEL failed; the pod stays, and the call may be repeated.
        """
        pod = self._pods.get(name)
        if pod is None:
            raise CallerError(f'there is no pod "{name}" on {self._node}')
        _, elapsed = await self._in_node(lambda: timed(lambda: self._runtime.delete(pod.attachment)))
        del self._pods[name]
        self._folder.delete(pod.netns)
        return elapsed

    async def check(self, name: str) -> bool:
        """Run the plugins' own CHECK; False when the network has it switched off."""
        pod = self._pods[name]
        return await self._in_node(lambda: self._runtime.check(pod.attachment))

    async def ask_status(self) -> bool:
        """Run the plugins' STATUS; False when the network's version has none."""
        return await self._in_node(self._runtime.status)

    async def collect_garbage(self) -> bool:
        """Tell the plugins which pods exist; False when the network leaves GC out."""
        valid = [pod.attachment for pod in self]
        return await self._in_node(lambda: self._runtime.collect_garbage(valid))

    def abandon(self) -> None:
        """Forget all pods without DEL: their node is ending."""
        for pod in self:
            with suppress(VpcCniError):
                self._folder.delete(pod.netns)
        self._pods.clear()

    def _attachment(self, name: str, netns_name: str) -> Attachment:
        container_id = secrets.token_hex(32)
        args = (
            ("IgnoreUnknown", "1"),
            ("K8S_POD_NAMESPACE", POD_NAMESPACE),
            ("K8S_POD_NAME", name),
            ("K8S_POD_INFRA_CONTAINER_ID", container_id),
        )
        return Attachment(container_id, POD_IFNAME, str(self._folder.path(netns_name)), args)

    async def _in_node(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._netns.run, work)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Do something; return its result and the milliseconds it took, without the time spent waiting for a thread."""
    started = time.monotonic()
    return work(), (time.monotonic() - started) * 1000


def pod_address(result: dict[str, object]) -> IPv4Address:
    """Return the address of the container's interface in an ADD result. Pure.

    Raises:
        HostError: the result has none.
    """
    try:
        return IPv4Interface(result["ips"][0]["address"]).ip  # type: ignore[index]
    except (KeyError, IndexError, TypeError, ValueError) as err:
        raise HostError(f"the plugin's result has no IPv4 address: {result}") from err
