"""The agent's pages: metrics, probes, the reference's introspection, and the status page of ``vpc-cni node status``."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import vpc_cni
from vpc_cni.agent import status
from vpc_cni.agent.discovery import NodeIdentity
from vpc_cni.agent.errors_seen import ErrorsSeen
from vpc_cni.agent.growth import Grower
from vpc_cni.agent.health import Health
from vpc_cni.agent.http import HttpFace, LoopBridge, Reply, Route
from vpc_cni.agent.metrics import AgentMetrics
from vpc_cni.agent.observing import update_budget, update_gauges
from vpc_cni.agent.spool import count_recorded
from vpc_cni.agent.waiting import WaitingLane
from vpc_cni.ec2 import Budget
from vpc_cni.ipam import Pool, Targets
from vpc_cni.rpc.spool import SPOOL_DIRECTORY
from vpc_cni.settings import AgentSettings

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Pages:
    """What the pages are made of. ``node``, ``grower`` and ``budget`` come in the course of the start.

    Args:
        clock: CLOCK_BOOTTIME seconds.
    """

    settings: AgentSettings
    health: Health
    pool: Pool
    lane: WaitingLane
    metrics: AgentMetrics
    errors: ErrorsSeen
    clock: Callable[[], float]
    node: NodeIdentity | None = None
    grower: Grower | None = None
    budget: Budget | None = None
    unmanaged_enis: int = field(default=0)

    def open(self, bridge: LoopBridge) -> Iterator[HttpFace]:
        """Listen on every address that the settings name; the faces serve once started.

        Raises:
            HostError: an address is taken.
        """
        host = self.settings.host
        probes: Mapping[str, Route] = {"/livez": self.health.livez, "/readyz": self.health.readyz}
        introspection = {**probes, **self._introspection(bridge, with_sandboxes=False)}
        if host.metrics_bind:
            metrics = {**probes, "/metrics": lambda: self._metrics(bridge)}
            yield HttpFace(host.metrics_bind, metrics, name="metrics")
        if host.introspection_bind:
            yield HttpFace(host.introspection_bind, introspection, name="introspection")
        # Only who may speak for a sandbox (root, by this socket) is told which sandboxes there are.
        private = {**probes, **self._introspection(bridge, with_sandboxes=True)}
        yield HttpFace(f"unix:{host.introspection_socket}", private, name="status")

    def _introspection(self, bridge: LoopBridge, *, with_sandboxes: bool) -> dict[str, Route]:
        return {
            "/v1/enis": lambda: Reply.of_json(bridge.call(lambda: status.enis_json(self.pool))),
            "/v1/status": lambda: Reply.of_json(bridge.call(lambda: self._status(with_sandboxes=with_sandboxes))),
            "/v1/ipamd-env-settings": lambda: self._values("WARM_", "MINIMUM_", "MAX_ENI", "IP_COOLDOWN"),
            "/v1/networkutils-env-settings": lambda: self._values("AWS_VPC_", "AWS_EXTERNAL_"),
        }

    def _metrics(self, bridge: LoopBridge) -> Reply:
        bridge.call(self._update_gauges)
        return Reply(200, self.metrics.exposition(), _PROMETHEUS)

    def _update_gauges(self) -> None:
        update_gauges(
            self.metrics,
            self.pool,
            limits=self.node.limits if self.node is not None else None,
            max_eni=self.settings.pool.max_eni or 0,
            unmanaged_enis=self.unmanaged_enis,
            waiting=len(self.lane),
            spooled=self._recorded(),
        )
        if self.budget is not None:
            update_budget(self.metrics, self.budget)
        self.metrics.ready.set(0 if self.health.reasons else 1)

    def _recorded(self) -> int:
        return count_recorded(self.settings.host.run_dir / SPOOL_DIRECTORY)

    def _values(self, *prefixes: str) -> Reply:
        values = self.settings.values.items()
        shown = {name: value for name, value in values if name.startswith(prefixes)}
        return Reply.of_json({name: _plain(value) for name, value in shown.items()})

    def _status(self, *, with_sandboxes: bool) -> dict[str, Any]:
        plan = self.grower.plan if self.grower is not None else None
        targets = self.grower.targets if self.grower is not None else Targets()
        return {
            "node": self._node_json(),
            "enis": status.eni_rows(self.pool),
            "pods": status.pod_rows(self.pool, with_sandboxes=with_sandboxes),
            "pool": status.pool_json(self.pool, plan, targets, len(self.lane)),
            "errors": self.errors.as_json(),
            "spool": self._recorded(),
        }

    def _node_json(self) -> dict[str, Any]:
        instance = self.node.instance if self.node is not None else None
        return {
            "instance_id": instance.instance_id if instance else "",
            "instance_type": instance.instance_type if instance else "",
            "availability_zone": instance.zone if instance else "",
            "agent_version": vpc_cni.__version__,
            "python": sys.version.split()[0],
            "uptime_seconds": round(self.clock() - self.health.started_at, 3),
            "ready": not self.health.reasons,
            "reasons": list(self.health.reasons),
        }


def _plain(value: object) -> object:
    """Return a value that JSON has."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return str(value)
