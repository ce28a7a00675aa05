"""Traffic between two pods of a cluster for as long as something else happens: a ping and a TCP stream."""

import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from cluster_node import netns_name, node_file

from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.pod_namespaces import open_pod_namespaces

STREAM_PORT = 9000
PodObject = dict[str, Any]


@dataclass
class Pings:
    """Counts of a ping, known when it has ended."""

    sent: int = 0
    received: int = 0

    @property
    def lost(self) -> int:
        return self.sent - self.received


@contextmanager
def ping(lab: Lab, node: str, netns: str, address: str) -> Iterator[Pings]:
    """Ping 50 times a second from a pod for as long as the block runs; the counts are there afterwards."""
    enter = ["nsenter", f"--net={node_file(lab, node, f'/run/netns/{netns}')}"]
    command = [*enter, str(shutil.which("ping")), "-n", "-q", "-i", "0.02", "-W", "2", address]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    pings = Pings()
    try:
        yield pings
    finally:
        time.sleep(0.5)  # the last answer
        process.send_signal(2)
        said, _ = process.communicate(timeout=10)
        found = re.search(r"(\d+) packets transmitted, (\d+) received", said)
        assert found is not None, said
        pings.sent, pings.received = int(found[1]), int(found[2])


class Stream:
    """A TCP connection between two pods that carries 100 numbered lines a second; counts what comes out of order."""

    def __init__(self, lab: Lab, source: PodObject, target: PodObject) -> None:
        spaces = [open_pod_namespaces(node_file(lab, pod["spec"]["nodeName"], "/")) for pod in (source, target)]
        address = target["status"]["podIP"]
        listener = spaces[1][IPv4Address(address)].socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((address, STREAM_PORT))
        listener.listen()
        self._out = spaces[0][IPv4Address(source["status"]["podIP"])].socket(socket.AF_INET, socket.SOCK_STREAM)
        self._out.settimeout(10)
        self._out.connect((address, STREAM_PORT))
        self._in, _ = listener.accept()
        self._in.settimeout(10)
        listener.close()
        for netns in (each for space in spaces for each in space.values()):
            netns.close()
        self._stopping = threading.Event()
        self.sent, self.received, self.retransmitted, self.longest_gap_seconds = 0, 0, 0, 0.0
        self._threads = [threading.Thread(target=work) for work in (self._send, self._receive)]

    def __enter__(self) -> "Stream":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(20)
        # tcpi_total_retrans; linux/tcp.h
        info = self._out.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        self.retransmitted = int.from_bytes(info[100:104], "little")
        self._out.close()
        self._in.close()

    def _send(self) -> None:
        while not self._stopping.wait(0.01):
            self._out.sendall(f"{self.sent}\n".encode())
            self.sent += 1
        self._out.shutdown(socket.SHUT_WR)

    def _receive(self) -> None:
        last = time.monotonic()
        for line in self._in.makefile():
            now = time.monotonic()
            self.longest_gap_seconds = max(self.longest_gap_seconds, now - last)
            last = now
            self.received += line == f"{self.received}\n"


@contextmanager
def traffic(lab: Lab, source: PodObject, target: PodObject) -> Iterator[tuple[Pings, Stream]]:
    """Run a ping and a TCP stream from one pod to another; the counts are there afterwards, whatever they are."""
    node = source["spec"]["nodeName"]
    name = netns_name(lab, node, source["status"]["podIP"])
    with Stream(lab, source, target) as stream, ping(lab, node, name, target["status"]["podIP"]) as pings:
        yield pings, stream


def assert_nothing_lost(pings: Pings, stream: Stream) -> None:
    assert pings.received == pings.sent > 0
    assert stream.received == stream.sent > 0
    assert stream.retransmitted == 0
