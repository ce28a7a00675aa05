"""What the clients tell about their calls: one event for each request on the wire."""

from typing import Protocol

OK = "ok"


class CallObserver(Protocol):
    """Receiver of call events. Called from the thread that makes the call; must be quick and thread safe."""

    def on_call(self, operation: str, seconds: float, outcome: str) -> None:
        """Record one attempt.

        Args:
            operation: API operation, or ``Metadata`` for instance metadata.
            seconds: from the first byte sent to the answer read.
            outcome: ``ok``, the service's error code, or one of the codes of ``failures`` when there was no
                answer to read. A bounded set of words: fit for a metric label.
        """

    def on_throttle(self, operation: str) -> None:
        """Record that the service, or the own budget, refused the call for its rate."""


class SilentObserver:
    """Observer for those who do not count."""

    def on_call(self, operation: str, seconds: float, outcome: str) -> None:
        """Ignore the event."""

    def on_throttle(self, operation: str) -> None:
        """Ignore the event."""
