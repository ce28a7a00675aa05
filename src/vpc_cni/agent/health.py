"""Whether the agent is alive, and whether it serves pods. Read from any thread."""

from collections.abc import Callable

from vpc_cni.agent.http import Reply

# The loop may be held by a burst of ADDs for a moment; silence of this length means that it hangs.
HUNG_SECONDS = 10.0


class Health:
    """Heartbeat of the event loop, and the reasons why ADDs are not served.

    Args:
        clock: CLOCK_BOOTTIME seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.started_at = clock()
        self._beat_at = self.started_at
        self.phase = "starting"
        """What the process is doing instead of serving; empty while it serves."""
        self.checks: list[Callable[[], str]] = []
        """Each says why ADDs cannot be served, or nothing; called from any thread."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why ADDs are not served; empty when they are."""
        found = (self.phase, *(check() for check in self.checks))
        return tuple(reason for reason in found if reason)

    def beat(self) -> None:
        """Record that the loop still turns."""
        self._beat_at = self._clock()

    def livez(self) -> Reply:
        """Answer the liveness probe: 503 when the loop has been silent for 10 s."""
        silent = self._clock() - self._beat_at
        if silent > HUNG_SECONDS:
            return Reply.of_text(f"the event loop has been silent for {silent:.0f} s", 503)
        return Reply.of_text("ok")

    def readyz(self) -> Reply:
        """Answer the readiness probe: 503 with the reasons when ADDs are not served."""
        alive = self.livez()
        reasons = self.reasons
        if alive.status != 200 or not reasons:
            return alive
        return Reply.of_text("not ready: " + "; ".join(reasons), 503)
