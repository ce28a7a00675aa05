"""Every instance type that the cloud offers, those of the lab included."""

from collections.abc import Mapping
from functools import cache

from vpc_cni.ipam.limits import InstanceLimits, iter_limits


@cache
def instance_types() -> Mapping[str, InstanceLimits]:
    """Return all types by name; read once."""
    return {limits.instance_type: limits for limits in iter_limits(lab_types=True)}
