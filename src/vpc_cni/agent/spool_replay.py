"""Performs the DELs that plugins recorded while no agent answered."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from vpc_cni.agent.errors_seen import ErrorsSeen
from vpc_cni.agent.spool import RecordedDelete, take_recorded
from vpc_cni.agent.steps import Reach, Step
from vpc_cni.errors import CallerError, ConfigurationError, VpcCniError
from vpc_cni.model import SandboxKey
from vpc_cni.rpc.cni import parse_request

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0


class SpoolReplay:
    """Belongs to the loop.

    Args:
        delete: ends the network of a sandbox; the moment of its DEL in CLOCK_BOOTTIME seconds.
    """

    def __init__(
        self, directory: Path, delete: Callable[[SandboxKey, float], None], errors: ErrorsSeen, reach: Reach
    ) -> None:
        self._directory = directory
        self._delete = delete
        self._errors = errors
        self._reach = reach

    def run(self) -> None:
        """Replay what is there. A DEL that fails for now is kept, with those behind it, and tried again."""
        for recorded in take_recorded(self._directory):
            self._reach(Step.SPOOL_TAKEN)
            try:
                self._replay(recorded)
            except VpcCniError as err:
                self._errors.add("replay spool", err)
                _log.warning("recorded DEL %s is kept and tried again: %s", recorded.path, err)
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self.run)
                return
            self._reach(Step.SPOOL_REPLAYED)
            recorded.remove()

    def _replay(self, recorded: RecordedDelete) -> None:
        """Perform one; what is no DEL, and never will be, is reported and counts as done."""
        if recorded.request is None:
            _log.error("recorded DEL %s cannot be read and is dropped: %s", recorded.path, recorded.problem)
            return
        try:
            key = parse_request(recorded.request).key
        except (CallerError, ConfigurationError) as err:
            self._errors.add("replay spool", err)
            _log.error("recorded DEL %s is no request and is dropped: %s", recorded.path, err)
            return
        self._delete(key, (recorded.request.released_at_ms or 0) / 1000)
