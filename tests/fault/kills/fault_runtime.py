"""A container runtime's half, one plugin call at a time: sandboxes, their namespaces, the book of who has what."""

import ipaddress
import itertools
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeVar

from vpc_cni.lab.check.probes import encode_echo, is_echo_reply
from vpc_cni.lab.info import NodeInfo
from vpc_cni.lab.runtime import Attachment, PluginConfig, derive_plugin_config, parse_network_config
from vpc_cni.lab.runtime.invoke import run_plugin
from vpc_cni.netlink.netns import Netns, enter_netns

IFNAME = "eth0"
CALL_SECONDS = 70.0
PING_SECONDS = 0.05

T = TypeVar("T")


@dataclass(eq=False)
class Sandbox:
    """One pod sandbox: its namespace and, after an ADD, its address."""

    pod: str
    container_id: str
    netns: Netns = field(repr=False)
    address: IPv4Address | None = None

    @classmethod
    def create(cls, pod: str) -> "Sandbox":
        """Make a sandbox with a namespace of its own; 64 hexadecimal digits, as containerd's ids."""
        return cls(pod, secrets.token_hex(32), Netns.create())

    @property
    def attachment(self) -> Attachment:
        args = (
            ("IgnoreUnknown", "1"),
            ("K8S_POD_NAMESPACE", "faults"),
            ("K8S_POD_NAME", self.pod),
            ("K8S_POD_INFRA_CONTAINER_ID", self.container_id),
        )
        # The plugin is another process: a descriptor of ours is a path to it.
        return Attachment(self.container_id, IFNAME, f"/proc/{os.getpid()}/fd/{self.netns.fd}", args)


class NodeRuntime:
    """Runs the node's own plugin, alone of the chain, in the node's namespace.

    Calls must come from threads that have entered the node's namespace, see ``enter``.
    """

    def __init__(self, node: NodeInfo) -> None:
        self.node = node
        self._program = Path(node.plugin_dir) / "aws-cni"
        self._plugin_path = node.plugin_dir

    def enter(self) -> None:
        """Move the calling thread into the node, for good."""
        enter_netns(self.node.netns_path)

    def begin(self, call: Callable[[Sandbox], T], sandbox: Sandbox) -> "Future[T]":
        """Run ``add``, ``delete`` or ``check`` on a thread of its own inside the node."""
        future: Future[T] = Future()

        def work() -> None:
            try:
                self.enter()
                future.set_result(call(sandbox))
            except BaseException as err:  # raised again by whoever asks for the result
                future.set_exception(err)

        threading.Thread(target=work, name=f"{call.__name__} {sandbox.pod}", daemon=True).start()
        return future

    def add(self, sandbox: Sandbox) -> IPv4Address:
        """Run ADD.

        Raises:
            PluginError: the plugin refused.
        """
        result = self._call("ADD", sandbox)
        assert result is not None
        address = ipaddress.IPv4Interface(result["ips"][0]["address"]).ip  # type: ignore[index]
        sandbox.address = address
        return address

    def delete(self, sandbox: Sandbox) -> None:
        """Run DEL.

        Raises:
            PluginError: the plugin refused, which it never should.
        """
        self._call("DEL", sandbox)

    def check(self, sandbox: Sandbox) -> None:
        """Run CHECK.

        Raises:
            PluginError: the network is not as it was made.
        """
        self._call("CHECK", sandbox, prev_result={"cniVersion": "0.4.0", "ips": [], "interfaces": []})

    def _call(
        self, command: str, sandbox: Sandbox, prev_result: Mapping[str, object] | None = None
    ) -> dict[str, object] | None:
        conflist = Path(self.node.conflist_path)
        network = parse_network_config(conflist.read_text(), str(conflist))
        ours: PluginConfig = next(plugin for plugin in network.plugins if plugin.type == "aws-cni")
        config = derive_plugin_config(network, ours, {}, prev_result)
        environment = sandbox.attachment.environment(command, self._plugin_path)
        return run_plugin(self._program, environment, config, CALL_SECONDS)


class AddressGivenTwice(AssertionError):
    """An ADD returned an address that another running sandbox has."""


@dataclass
class Book:
    """The runtime's own record: which running sandbox has which address. Thread safe.

    An address is a sandbox's from the ADD's result until its DEL begins.
    """

    _by_address: dict[IPv4Address, Sandbox] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, sandbox: Sandbox, address: IPv4Address) -> None:
        """Note what an ADD gave.

        Raises:
            AddressGivenTwice: another sandbox has the address.
        """
        with self._lock:
            other = self._by_address.get(address)
            if other is not None:
                raise AddressGivenTwice(f"{address} of {sandbox.pod} is {other.pod}'s already")
            self._by_address[address] = sandbox

    def strike(self, sandbox: Sandbox) -> None:
        """Note that a DEL is about to begin."""
        with self._lock:
            if sandbox.address is not None and self._by_address.get(sandbox.address) is sandbox:
                del self._by_address[sandbox.address]

    def living(self) -> list[Sandbox]:
        with self._lock:
            return list(self._by_address.values())


class Pinger:
    """Sends echo requests from one namespace. Not thread safe; one for each thread."""

    _identifiers: Iterator[int] = itertools.count(1)

    def __init__(self, netns: Netns) -> None:
        self._socket = netns.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._identifier = next(self._identifiers) & 0xFFFF
        self._sequence = 0

    def reaches(self, address: IPv4Address, *, within_seconds: float = 2.0) -> bool:
        """Send until an answer of this address comes back."""
        deadline = time.monotonic() + within_seconds
        while time.monotonic() < deadline:
            self._sequence = (self._sequence + 1) & 0xFFFF
            with suppress(OSError):  # "no route" and the like: not yet, or never
                self._socket.sendto(encode_echo(self._identifier, self._sequence, b"x" * 8), (str(address), 0))
            if self._answered(address):
                return True
        return False

    def _answered(self, address: IPv4Address) -> bool:
        until = time.monotonic() + PING_SECONDS
        while (left := until - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                packet, (source, _) = self._socket.recvfrom(2048)
            except TimeoutError:
                return False
            if source == str(address) and is_echo_reply(packet, self._identifier):
                return True
        return False

    def close(self) -> None:
        self._socket.close()
