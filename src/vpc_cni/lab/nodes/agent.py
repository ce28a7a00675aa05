"""The agent process of one node: started with one capability in the node's namespace, watched, restarted.

The agent is a program to the lab: it is known by its process, its socket and its log, nothing of it is imported.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.lab import launcher
from vpc_cni.lab.paths import NodePaths

log = logging.getLogger(__name__)

AGENT_COMMAND = (sys.executable, "-m", "vpc_cni.agent")
STOP_SECONDS = 6.0  # the agent promises to end within 5 s of SIGTERM
SERVING_SECONDS = 30.0
POLL_SECONDS = 0.01
RESTART_FIRST_SECONDS, RESTART_MAX_SECONDS = 0.2, 5.0
STEADY_SECONDS = 10.0  # an agent that lived so long gets the short delay again
HOPELESS_RESTARTS = 2
LOG_TAIL_LINES = 8


class AgentProcess:
    """Owns the agent of one node. All methods belong to the daemon's event loop.

    Args:
        supervise: start a dead agent again, with growing delays.
    """

    def __init__(
        self,
        node_name: str,
        paths: NodePaths,
        netns_path: Path,
        environment: Mapping[str, str],
        *,
        supervise: bool = True,
        command: Sequence[str] = AGENT_COMMAND,
    ) -> None:
        self.node_name = node_name
        self.supervise = supervise
        self.restarts = 0
        self._paths = paths
        self._netns_path = netns_path
        self._environment = dict(environment)
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The agent's process number; None when it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the agent and watch over it; returns when it has been started, not when it serves."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep())

    async def wait_serving(self, timeout_seconds: float = SERVING_SECONDS) -> None:
        """Wait until the agent has listened and written the conflist.

        Raises:
            HostError: it ended or did not get there in time; the message has the end of its log.
        """
        before = self.restarts
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while not (self._paths.conflist.exists() and self._paths.socket.exists()):
                    if self.pid is None and (not self.supervise or self.restarts - before >= HOPELESS_RESTARTS):
                        raise self._failure("ends before it serves")
                    await asyncio.sleep(POLL_SECONDS)
                return
        raise self._failure(f"did not serve within {timeout_seconds:g} s")

    async def stop(self) -> None:
        """End the agent with SIGTERM, then with SIGKILL; it is not restarted."""
        await self._stop_keeping()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            log.warning("agent of %s ignored SIGTERM for %g s", self.node_name, STOP_SECONDS)
            await self.kill()

    async def kill(self) -> None:
        """Send SIGKILL and wait for the end; a supervised agent comes back."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def discard(self) -> None:
        """End the agent at once and for good."""
        await self._stop_keeping()
        await self.kill()

    async def restart(self) -> None:
        """Stop the agent gracefully and start it again, as a rolling update does."""
        await self.stop()
        await self.start()

    async def _spawn(self) -> None:
        self._paths.log_dir.mkdir(parents=True, exist_ok=True)
        with self._paths.agent_log.open("ab") as output:
            self._log_start = output.tell()
            self._process = await asyncio.create_subprocess_exec(
                *launcher_command(self._netns_path, self._command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=self._environment,
                cwd="/",
            )

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        delay = RESTART_FIRST_SECONDS
        while self._process is not None:
            started = loop.time()
            status = await self._process.wait()
            log.warning("agent of %s ended with status %s", self.node_name, status)
            if not self.supervise:
                return
            if loop.time() - started > STEADY_SECONDS:
                delay = RESTART_FIRST_SECONDS
            await asyncio.sleep(delay)
            delay = min(delay * 2, RESTART_MAX_SECONDS)
            await self._spawn()
            self.restarts += 1

    async def _stop_keeping(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None

    def _failure(self, what: str) -> HostError:
        return HostError(
            f"the agent of {self.node_name} {what}: {tail(self._paths.agent_log, self._log_start)}",
            hint=f"see {self._paths.agent_log}",
        )


def launcher_command(netns_path: Path, command: Sequence[str]) -> list[str]:
    """Return the command line that starts ``command`` in a namespace with one capability, tied to this process."""
    return [sys.executable, "-I", "-S", str(launcher.__file__), str(netns_path), str(os.getpid()), *command]


def tail(path: Path, start: int) -> str:
    """Return the last lines that a log got since ``start`` (a byte offset), for people."""
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return "it has no log"
    return "\n    ".join(["its last words:", *lines[-LOG_TAIL_LINES:]]) if lines else "it said nothing"
