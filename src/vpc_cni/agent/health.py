"""Whether the agent is alive, and whether it serves pods. Read from any thread."""

from collections.abc import Callable

from vpc_cni.agent.http import Reply

# The loop may be held by a burst of ADDs for a moment; silence of this length means that it hangs.
HUNG_SECONDS = 10.0
# Deleting a group of links takes the kernel tens of milliseconds, a second on a very busy node.
STUCK_SECONDS = 60.0


class ThreadWatch:
    """Notices that a thread has ended, or does not get on with a piece of work. Ask from any thread, now and then.

    Args:
        name: what the thread is, for people.
        progress: whether the thread is there, and a number of what it does now; 0 when it waits for work.
        clock: CLOCK_BOOTTIME seconds.
    """

    def __init__(self, name: str, progress: Callable[[], tuple[bool, int]], clock: Callable[[], float]) -> None:
        self._name = name
        self._progress = progress
        self._clock = clock
        self._seen: tuple[int, float] = (0, 0.0)

    def problem(self) -> str:
        """Return why the thread cannot be relied on; empty when it can."""
        is_there, work = self._progress()
        if not is_there:
            return f"the {self._name} has ended"
        seen, since = self._seen
        if work == 0 or work != seen:
            self._seen = (work, self._clock())
            return ""
        stuck = self._clock() - since
        return f"the {self._name} has been stuck for {stuck:.0f} s" if stuck > STUCK_SECONDS else ""


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
        self.vital: list[Callable[[], str]] = []
        """Each says what only a new process can mend, or nothing; called from any thread."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why ADDs are not served; empty when they are."""
        found = (self.phase, *(check() for check in self.checks))
        return tuple(reason for reason in found if reason)

    def beat(self) -> None:
        """Record that the loop still turns."""
        self._beat_at = self._clock()

    def livez(self) -> Reply:
        """Answer the liveness probe: 503 when the loop has been silent for 10 s, or a new process is needed."""
        silent = self._clock() - self._beat_at
        if silent > HUNG_SECONDS:
            return Reply.of_text(f"the event loop has been silent for {silent:.0f} s", 503)
        problems = [problem for check in self.vital if (problem := check())]
        if problems:
            return Reply.of_text("; ".join(problems), 503)
        return Reply.of_text("ok")

    def readyz(self) -> Reply:
        """Answer the readiness probe: 503 with the reasons when ADDs are not served."""
        alive = self.livez()
        reasons = self.reasons
        if alive.status != 200 or not reasons:
            return alive
        return Reply.of_text("not ready: " + "; ".join(reasons), 503)
