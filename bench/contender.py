"""A side of the comparison, seen from outside: a process that runs a ``Driver`` and answers over a pipe.

The process has its own mount namespace, and for the peer its own network namespace, so that its death, however it
comes, removes everything it made.
"""

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.driver import Churn, Driver
from bench.processes import prefer
from bench.target import Target
from vpc_cni.errors import HostError, VpcCniError
from vpc_cni.lab import mounts
from vpc_cni.netlink.netns import Netns, enter_netns

ANSWER_SECONDS = 150.0
_END_SECONDS = 10.0
_TMPFS = "size=256m,mode=0700"


class Contender:
    """Drives one plugin in a process of its own. Use it in a ``with`` statement.

    Args:
        folder: made when it is not there; the process covers it with a tmpfs that only it sees.

    Methods have the names and meanings of ``Driver``.

    Raises:
        HostError: from every method: a call of the plugin failed, or there was no answer in time.
    """

    def __init__(self, target: Target, folder: Path) -> None:
        self.name = target.name
        self._target = target
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        context = multiprocessing.get_context("fork")
        self._pipe, far = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(far, self._pipe, target, folder), name=target.name, daemon=True
        )

    def __enter__(self) -> "Contender":
        self._process.start()
        self._receive()
        if self._target.agent_pid is not None:
            prefer(self._target.agent_pid)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._pipe.close()
        if kind is None:
            self._process.join(_END_SECONDS)
        if self._process.is_alive() and self._process.pid is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.join()

    def prepare(self, count: int) -> None:
        self._ask("prepare", count)

    def add(self, count: int, workers: int = 1) -> list[float]:
        return list(self._ask("add", count, workers))

    def delete(self, count: int, workers: int = 1) -> list[float]:
        return list(self._ask("delete", count, workers))

    def burst(self, count: int) -> float:
        return float(self._ask("burst", count))

    def churn(self, count: int, workers: int, *, watch: bool = False, limit_seconds: float = 3600.0) -> Churn:
        answer: Churn = self._ask("churn", count, workers, watch=watch, limit_seconds=limit_seconds)
        return answer

    def settle_one(self) -> float:
        return float(self._ask("settle_one"))

    def wait_links_gone(self) -> None:
        self._ask("wait_links_gone")

    def clear(self) -> None:
        self._ask("clear")

    def cpu_seconds(self) -> float:
        return float(self._ask("cpu_seconds"))

    def check_reachable(self) -> str:
        return str(self._ask("check_reachable"))

    def _ask(self, method: str, *args: object, **kwargs: object) -> Any:
        try:
            self._pipe.send((method, args, kwargs))
        except OSError as err:
            raise self._ended() from err
        return self._receive()

    def _receive(self) -> Any:
        try:
            if not self._pipe.poll(ANSWER_SECONDS):
                raise HostError(f"{self.name} did not answer within {ANSWER_SECONDS:g} s", hint="see its agent's log")
            failure, answer = self._pipe.recv()
        except (EOFError, OSError) as err:
            raise self._ended() from err
        if failure:
            raise HostError(failure)
        return answer

    def _ended(self) -> HostError:
        return HostError(f"the process that drives {self.name} has ended (exit status {self._process.exitcode})")


def _serve(pipe: Connection, far: Connection, target: Target, folder: Path) -> None:
    """Answer until the other end closes. The body of the contender's process."""
    far.close()
    os.setsid()  # an interrupt from the terminal reaches the parent alone, which then ends this group
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    prefer(os.getpid())
    driver = _answer(pipe, lambda: _open_driver(target, folder), quiet=True)
    gc.disable()
    while driver is not None:
        try:
            method, args, kwargs = pipe.recv()
        except EOFError:
            return
        _answer(pipe, lambda: getattr(driver, method)(*args, **kwargs))  # noqa: B023 - called at once


def _open_driver(target: Target, folder: Path) -> Driver:
    mounts.unshare(mounts.CLONE_NEWNS)
    mounts.make_mounts_private()
    mounts.mount_tmpfs(folder, _TMPFS)
    if target.netns_path is None:
        with Netns.create(lo_up=True) as netns:
            enter_netns(netns.fd)
    else:
        enter_netns(target.netns_path)
    return Driver(target, folder)


def _answer(pipe: Connection, work: Callable[[], Any], *, quiet: bool = False) -> Any:
    """Do the work and send (failure text, result); return the result, None after a failure."""
    try:
        result = work()
    except (VpcCniError, OSError, LookupError, ValueError) as err:
        text = str(err) if isinstance(err, VpcCniError) else f"{type(err).__name__}: {err}"
        pipe.send((text, None))
        return None
    pipe.send(("", None if quiet else result))
    return result
