"""The one clock that decisions are taken by."""

import time


def boottime() -> float:
    """Return CLOCK_BOOTTIME seconds: monotonic, counts suspended time, shared by all processes of the machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def unix_ns() -> int:
    """Return wall-clock unix time in nanoseconds, for people and for the reference's checkpoint."""
    return time.time_ns()
