"""From what happens to metrics: AWS calls as they end, the pool whenever someone scrapes."""

from collections import Counter
from collections.abc import Iterable

from vpc_cni.agent.metrics import AgentMetrics
from vpc_cni.ec2 import Budget, CallKind
from vpc_cni.ec2.observer import OK
from vpc_cni.ipam import AddressInfo, AddressState, InstanceLimits, Pool

_METADATA = "Metadata"


class MetricsObserver:
    """Counts AWS calls; called from worker threads."""

    def __init__(self, metrics: AgentMetrics) -> None:
        self._metrics = metrics

    def on_call(self, operation: str, seconds: float, outcome: str) -> None:
        """Count one attempt under the reference's names."""
        failed = outcome != OK
        api = "GetMetadata" if operation == _METADATA else operation
        status = "200" if not failed else outcome
        self._metrics.api_latency.labels(api, str(failed).lower(), status).observe(seconds * 1000)
        if operation != _METADATA:
            self._metrics.ec2_calls.labels(operation).inc()
        if failed:
            self._metrics.api_errors.labels(api, outcome).inc()
            if operation != _METADATA:
                self._metrics.ec2_errors.labels(operation).inc()

    def on_throttle(self, operation: str) -> None:
        """Count a call that was refused for its rate."""
        self._metrics.throttles.labels(operation).inc()


def update_gauges(
    metrics: AgentMetrics,
    pool: Pool,
    *,
    limits: InstanceLimits | None,
    max_eni: int,
    unmanaged_enis: int,
    waiting: int,
    spooled: int,
) -> None:
    """Set the gauges that mirror the pool."""
    addresses = [info for info in pool.addresses() if info.eni_id]
    states = Counter(info.state for info in addresses)
    enis = pool.enis()
    if limits is not None:
        usable = min(max_eni, limits.max_enis) if max_eni > 0 else limits.max_enis
        metrics.eni_max.set(usable - unmanaged_enis)
        metrics.ip_max.set(limits.slots_per_eni * (usable - unmanaged_enis))
    metrics.eni_allocated.set(len(enis))
    metrics.total_addresses.set(len(addresses))
    metrics.assigned_addresses.set(states[AddressState.ASSIGNED])
    metrics.total_prefixes.set(sum(len(eni.prefixes) for eni in enis))
    metrics.cooling.set(states[AddressState.COOLING])
    metrics.free.set(states[AddressState.FREE])
    metrics.waiting.set(waiting)
    metrics.spooled.set(spooled)
    _set_assigned(metrics, pool, addresses)
    metrics.quarantined.clear()
    for reason, count in Counter(str(each.reason) for each in pool.quarantines()).items():
        metrics.quarantined.labels(reason).set(count)


def update_budget(metrics: AgentMetrics, budget: Budget) -> None:
    """Set the gauges of what this node allows itself of the account's EC2 request rate."""
    for kind in CallKind:
        bucket = budget.bucket(kind)
        metrics.ec2_rate.labels(kind.value).set(bucket.rate)
        metrics.ec2_tokens.labels(kind.value).set(bucket.tokens)


def _set_assigned(metrics: AgentMetrics, pool: Pool, addresses: Iterable[AddressInfo]) -> None:
    """Set how many addresses pods hold, by ENI and by CIDR.

    A secondary address is a CIDR of its own, as the reference counts. Only those that a pod holds have a series: one
    for each of 700 addresses would be most of the page.
    """
    assigned = [info for info in addresses if info.state is AddressState.ASSIGNED]
    by_eni = Counter(info.eni_id for info in assigned)
    metrics.assigned_per_eni.clear()
    for eni in pool.enis():
        metrics.assigned_per_eni.labels(eni.eni_id).set(by_eni[eni.eni_id])
    metrics.assigned_per_cidr.clear()
    for info in assigned:
        metrics.assigned_per_cidr.labels(f"{info.address}/32").set(1)
