"""Named steps of the workers between which a kill must do no harm.

In production reaching one costs a comparison. With ``VPC_CNI_ADDONS_CRASH_AT=NAME`` or ``NAME:N`` the service kills
itself when it reaches the step (for the Nth time), which is how the fault tests visit every one of them.
"""

import enum
import os
import signal
import threading
from collections.abc import Callable

from vpc_cni.errors import ConfigurationError

VARIABLE = "VPC_CNI_ADDONS_CRASH_AT"


class Step(enum.StrEnum):
    """What has just been done when the step is reached."""

    CLAIMED = "claimed"
    OBJECT_WRITTEN = "object-written"
    OBJECTS_APPLIED = "objects-applied"
    APPLIED_NOTED = "applied-noted"
    LOOKED = "looked"
    RELEASED = "released"
    OBJECTS_REMOVED = "objects-removed"
    ENDED = "ended"


Reach = Callable[[Step], None]


def ignore_step(_step: Step) -> None:
    """Do nothing: what production does at every step."""


def crash_at(text: str) -> Reach:
    """Return a function, safe for threads, that kills this process at the step that ``text`` names; empty names none.

    Raises:
        ConfigurationError: no such step, or the count is not a positive number.
    """
    if not text:
        return ignore_step
    name, _, count = text.partition(":")
    try:
        step, remaining = Step(name), int(count or "1")
    except ValueError:
        raise ConfigurationError(
            f"{VARIABLE}={text!r} names no step", hint=f"write NAME or NAME:N with one of: {' '.join(sorted(Step))}"
        ) from None
    if remaining < 1:
        raise ConfigurationError(f"{VARIABLE}={text!r}: the count must be 1 or more")
    lock = threading.Lock()

    def reach(reached: Step) -> None:
        nonlocal remaining
        with lock:
            remaining -= reached is step
            if reached is step and remaining == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reach
