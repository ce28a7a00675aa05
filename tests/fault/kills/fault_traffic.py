"""Traffic that must not notice a change of the node: a ping from each pod, and a stream that must come back whole."""

import contextlib
import re
import signal
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Sequence
from ipaddress import IPv4Address

from fault_runtime import Sandbox

from vpc_cni.netlink.netns import Netns

_PERIOD_SECONDS = 0.02
_ANSWER_SECONDS = 5.0
_PORT = 7007
_TOTAL_RETRANS_AT = 100  # struct tcp_info in linux/tcp.h
_COUNTS = re.compile(r"(\d+) packets transmitted, (\d+) received")


class Pings:
    """``ping`` in each pod towards one address, until ``finish``."""

    def __init__(self, sandboxes: Sequence[Sandbox], target: str) -> None:
        self._target = target
        command = ["ping", "-n", "-i", str(_PERIOD_SECONDS), "-W", "2", target]
        self.gaps: list[str] = []
        # A file takes whatever ping says; a pipe that nobody reads would stop it. Closed by finish.
        self._outputs = [tempfile.TemporaryFile("w+") for _sandbox in sandboxes]  # noqa: SIM115
        self._running = [
            sandbox.netns.spawn(command, stdout=output)
            for sandbox, output in zip(sandboxes, self._outputs, strict=True)
        ]

    def kill(self) -> None:
        """End those that still run, whatever became of the test."""
        for process in self._running:
            if process.poll() is None:
                process.kill()
                process.wait()

    def finish(self) -> tuple[int, int]:
        """End them; return how many requests were sent and how many were not answered."""
        sent = lost = 0
        for process, output in zip(self._running, self._outputs, strict=True):
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)
            with output:
                output.seek(0)
                text = output.read()
            counts = _COUNTS.search(text)
            assert counts is not None, text
            seen = set(map(int, re.findall(r"icmp_seq=(\d+) ttl", text)))
            # The request that was under way when ping was ended was not waited for.
            missing = sorted(set(range(1, int(counts[1]))) - seen)
            sent, lost = sent + int(counts[1]), lost + len(missing)
            if missing:
                self.gaps.append(f"{self._target}: {missing}")
        return sent, lost


class EchoServer:
    """Answers streams in a namespace with what they send. Close it."""

    def __init__(self, netns: Netns) -> None:
        self._listener = netns.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("0.0.0.0", _PORT))
        self._listener.listen(64)
        self.callers: set[str] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, (caller, _port) = self._listener.accept()
            except OSError:
                return
            self.callers.add(caller)
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    @staticmethod
    def _echo(connection: socket.socket) -> None:
        # A pod that gives up says so itself: by its stream's problem.
        with connection, contextlib.suppress(ConnectionResetError):
            while data := connection.recv(4096):
                connection.sendall(data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Stream:
    """One TCP connection of a pod, used every 20 ms; ``longest_seconds`` is the slowest answer.

    ``retransmitted``: segments sent again, once finished.
    """

    def __init__(self, sandbox: Sandbox, target: IPv4Address | str) -> None:
        self._socket = sandbox.netns.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.settimeout(_ANSWER_SECONDS)
        self._socket.connect((str(target), _PORT))
        self._stopping = threading.Event()
        self.problem = ""
        self.exchanges = 0
        self.retransmitted = 0
        self.longest_seconds = 0.0
        self._thread = threading.Thread(target=self._exchange, daemon=True)
        self._thread.start()

    def _exchange(self) -> None:
        try:
            while not self._stopping.wait(_PERIOD_SECONDS):
                words = b"%16d" % self.exchanges
                started = time.monotonic()
                self._socket.sendall(words)
                answer = self._socket.recv(len(words), socket.MSG_WAITALL)
                if answer != words:
                    raise ConnectionError(f"sent {words!r}, got {answer!r}")
                self.longest_seconds = max(self.longest_seconds, time.monotonic() - started)
                self.exchanges += 1
        except OSError as err:
            self.problem = f"after {self.exchanges} exchanges: {err}"

    def finish(self) -> None:
        self._stopping.set()
        self._thread.join()
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        self.retransmitted = struct.unpack_from("=I", info, _TOTAL_RETRANS_AT)[0]
        self._socket.close()
