"""Metrics of the service: names, meaning, and where they are counted. docs/addons-operations.md lists them."""

import logging
import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vpc_cni.addons.model import OperationKind
from vpc_cni.addons.states import End
from vpc_cni.addons.store import Overview

_LOG = logging.getLogger(__name__)
_REQUEST_BUCKETS = (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_OPERATION_BUCKETS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 2400.0)


class Metrics:
    """All of them, in a registry of their own."""

    def __init__(self, overview: Callable[[], Overview]) -> None:
        """Take what reads the store; when it fails, the other metrics are there all the same."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "vpc_cni_addons_requests", "Requests to the API", ["method", "status"], registry=self._registry
        )
        self._request_seconds = Histogram(
            "vpc_cni_addons_request_seconds",
            "From the first byte of a request to the last of its answer",
            ["method"],
            buckets=_REQUEST_BUCKETS,
            registry=self._registry,
        )
        self._operations = Counter(
            "vpc_cni_addons_operations", "Operations that ended here", ["kind", "end"], registry=self._registry
        )
        self._operation_seconds = Histogram(
            "vpc_cni_addons_operation_seconds",
            "From an operation's request to its end",
            ["kind"],
            buckets=_OPERATION_BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_OfTheStore(overview))

    def ended(self, kind: OperationKind, end: End, seconds: float) -> None:
        """Count the end of an operation."""
        self._operations.labels(kind.value, end.name).inc()
        self._operation_seconds.labels(kind.value).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def counting(self, application: ASGIApp) -> ASGIApp:
        """Return an application that counts the answers of another."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            status = 0

            async def noting(message: Message) -> None:
                nonlocal status
                status = message.get("status", status)
                await send(message)

            started = time.perf_counter()
            try:
                await application(scope, receive, noting)
            finally:
                # Methods come from outside: only the API's own become labels.
                method = scope["method"] if scope.get("method") in ("GET", "POST", "DELETE") else "other"
                self._requests.labels(method, str(status)).inc()
                self._request_seconds.labels(method).observe(time.perf_counter() - started)

        return counted


class _OfTheStore(Collector):
    """What is counted in the store each time somebody asks."""

    def __init__(self, overview: Callable[[], Overview]) -> None:
        self._overview = overview

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name nothing: to be registered must not take a look into the store."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            found = self._overview()
        except Exception as err:
            # Monitoring matters most when the store is away.
            _LOG.warning("the store cannot be counted: %s", type(err).__name__)
            yield _gauge("store_up", "Whether the store answered", 0)
            return
        yield _gauge("store_up", "Whether the store answered", 1)
        yield _gauge("operations_under_way", "Operations that have not ended, of all replicas", found.operations)
        yield _gauge("oldest_operation_seconds", "Age of the oldest of them", found.oldest_seconds)
        yield _gauge("clusters", "Registered clusters", found.clusters)
        yield _gauge("clusters_unreachable", "Those that were not reached last time", found.unreachable)
        addons = GaugeMetricFamily("vpc_cni_addons_addons", "Add-ons", labels=["status"])
        for status, number in found.addons.items():
            addons.add_metric([status.value], number)
        yield addons


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"vpc_cni_addons_{name}", meaning, value)
