"""The agent's side of a take-over and a hand-back: when it waits, when it takes, when it gives the node back."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from vpc_cni.agent.handback import HandbackFiles, Phase, drop_our_table, take_over, try_to_hand_back
from vpc_cni.agent.health import Health
from vpc_cni.agent.spool import SpoolWatch
from vpc_cni.agent.steps import Reach
from vpc_cni.netlink.nat import NatPlan

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
# The command that asked runs in the agent's container: it must read the answer before the container ends.
_ANSWER_SECONDS = 1.0
HANDED_BACK = "this node is handed back; `vpc-cni node takeover` takes it again"


class Ownership:
    """Whose node this is. Belongs to the loop; the agent's lock is held."""

    def __init__(self, run_dir: Path, backing_store: Path, *, reach: Reach) -> None:
        self._files = HandbackFiles(run_dir, backing_store)
        self._reach = reach
        self._watch: SpoolWatch | None = None

    async def wait_until_ours(self, health: Health) -> None:
        """Finish a hand-back that a kill cut short, then wait for as long as the node is not ours."""
        state = self._files.state()
        if state is not None and state.phase is Phase.ASKED:
            state = try_to_hand_back(self._files, state, self._reach)
        if state is not None and state.phase is Phase.DONE and not self._files.is_ours():
            drop_our_table()
            health.phase = HANDED_BACK
            _log.warning("%s", HANDED_BACK)
            while not self._files.is_ours():
                await asyncio.sleep(_LOOK_SECONDS)
        health.phase = "starting"
        self._files.note(None)

    def take(self, plan: NatPlan) -> None:
        """Remove the reference's chains, now that our table stands and its pods are adopted."""
        take_over(self._files, plan, self._reach)

    def keep(self, plan: NatPlan) -> None:
        """Remember a changed plan."""
        node = self._files.node()
        if node is not None:
            self._files.note_node(type(node)(plan, node.iptables))

    def watch(self, on_asked: Callable[[], None]) -> None:
        """Call back when a hand-back is asked for, also when it was while the agent started."""

        def look() -> None:
            if self.is_asked:
                on_asked()

        self._watch = SpoolWatch(self._files.directory, look)
        look()

    @property
    def is_asked(self) -> bool:
        """Whether the agent shall give the node back as it stops."""
        state = self._files.state()
        return state is not None and state.phase is Phase.ASKED

    async def give_back(self) -> None:
        """Hand back, if asked; serving, repairs and journal are over."""
        if self._watch is not None:
            self._watch.close()
        state = self._files.state()
        if state is not None and state.phase is Phase.ASKED:
            try_to_hand_back(self._files, state, self._reach)
            await asyncio.sleep(_ANSWER_SECONDS)
