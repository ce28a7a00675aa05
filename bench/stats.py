"""Summaries of samples. Pure."""

import math
from collections.abc import Sequence

from vpc_cni.errors import InternalError


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return a percentile, linear between the two nearest samples (as ``statistics.quantiles``, inclusive).

    Args:
        samples: in any order.
        percent: 0 to 100.

    Raises:
        InternalError: there are no samples.
    """
    if not samples:
        raise InternalError("a percentile of no samples was asked for")
    ordered = sorted(samples)
    position = (len(ordered) - 1) * percent / 100
    low = math.floor(position)
    high = math.ceil(position)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def median(samples: Sequence[float]) -> float:
    """Return the middle of the samples."""
    return percentile(samples, 50)


def ratio(ours: float, other: float | None) -> float | None:
    """Return ``ours / other``; None when there is nothing to compare with, or it is zero."""
    if other is None or other == 0:
        return None
    return ours / other
