"""A program that the lab runs for its cluster: started with a log, ended with the lab, known by its exit."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.lab.nodes.agent import tail

STOP_SECONDS = 3.0


class Program:
    """Owns one child process. All methods belong to the daemon's event loop."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = tuple(command)
        self._environment = dict(environment)
        self._process: asyncio.subprocess.Process | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process number; None when it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the program; returns when it has been started, not when it serves."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=self._environment,
                cwd="/",
            )

    def require_running(self) -> None:
        """Raises HostError with the program's last words when it has ended."""
        if self.pid is None:
            raise HostError(f"{self.name} ended: {tail(self.log, self._log_start)}", hint=f"see {self.log}")

    async def stop(self, grace_seconds: float = STOP_SECONDS) -> None:
        """End the program, with SIGKILL when it takes longer than ``grace_seconds``."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), grace_seconds)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End the program at once."""
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
