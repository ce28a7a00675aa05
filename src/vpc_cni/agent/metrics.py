"""Metrics of the agent: the reference's names first, then ours.

One registry, made once, passed to whoever counts. Gauges that mirror the pool are set when someone scrapes, so
that an ADD pays for its own counters only. Label values come from small fixed sets: operations, error codes,
shortages, phases; never free text, never addresses other than the reference's per-CIDR series.
"""

import re

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Summary,
    disable_created_metrics,
    generate_latest,
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # one series less for each counter

# Buckets in seconds: an ADD takes 2 ms when an address is there, seconds when an ENI must come first.
_PHASE_BUCKETS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)


# prometheus-client appends "_total" to every counter; the reference's names have none, and scrapers of the field
# know those names.
_APPENDED_TOTAL = re.compile(rb"^((?:# (?:HELP|TYPE) )?awscni_[a-z0-9_]+)_total(?=[ {])", re.MULTILINE)


class AgentMetrics:
    """Every metric of the agent, as attributes."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._reference_metrics(version)
        self._own_metrics()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=_PHASE_BUCKETS)

    def _reference_metrics(self, version: str) -> None:
        """Names, types and labels of amazon-vpc-cni-k8s; counters where its later versions use counters."""
        self._gauge("awscni_build_info", "Build of the agent", "version", "goversion").labels(version, "none").set(1)
        self.errors = self._counter("awscni_ipamd_error_count", "Errors by site", "fn")
        self.in_progress = self._gauge("awscni_ipamd_action_inprogress", "Running pool actions", "fn")
        self.eni_max = self._gauge("awscni_eni_max", "ENIs this node may use")
        self.ip_max = self._gauge("awscni_ip_max", "Pod addresses this node may have")
        self.eni_allocated = self._gauge("awscni_eni_allocated", "ENIs attached and managed")
        self.total_addresses = self._gauge("awscni_total_ip_addresses", "Pod addresses of the pool")
        self.assigned_addresses = self._gauge("awscni_assigned_ip_addresses", "Addresses held by pods")
        self.total_prefixes = self._gauge("awscni_total_ipv4_prefixes", "Delegated prefixes")
        self.assigned_per_eni = self._gauge("awscni_assigned_ip_per_eni", "Addresses held by pods, by ENI", "eni")
        self.assigned_per_cidr = self._gauge("awscni_assigned_ip_per_cidr", "Addresses held by pods, by CIDR", "cidr")
        self.reconciled = self._counter("awscni_reconcile_count", "Changes made by reconcile", "fn")
        self.adds = self._counter("awscni_add_ip_req_count", "ADD requests")
        self.dels = self._counter("awscni_del_ip_req_count", "DEL requests", "reason")
        self.api_latency = Summary(
            "awscni_aws_api_latency_ms",
            "Latency of AWS calls in ms",
            ("api", "error", "status"),
            registry=self.registry,
        )
        self.api_errors = self._counter("awscni_aws_api_error_count", "Failed AWS calls", "api", "error")
        self.ec2_calls = self._counter("awscni_ec2api_req_count", "EC2 calls", "fn")
        self.ec2_errors = self._counter("awscni_ec2api_error_count", "Failed EC2 calls", "fn")
        self.force_removed_enis = self._counter("awscni_force_removed_enis", "ENIs lost while pods used them")
        self.force_removed_addresses = self._counter("awscni_force_removed_ips", "Addresses lost while pods used them")
        self.no_address = self._counter("awscni_no_available_ip_addresses", "ADDs that found no free address")

    def _own_metrics(self) -> None:
        self.add_seconds = self._histogram("vpc_cni_add_seconds", "ADD, by phase", "phase")
        self.del_seconds = self._histogram("vpc_cni_del_seconds", "DEL, by phase", "phase")
        self.add_failures = self._counter("vpc_cni_add_failures", "Failed ADDs, by CNI code", "code")
        self.waiting = self._gauge("vpc_cni_waiting_adds", "ADDs that wait for an address now")
        self.cooling = self._gauge("vpc_cni_cooling_addresses", "Addresses released and not yet reusable")
        self.free = self._gauge("vpc_cni_free_addresses", "Addresses that an ADD could get now")
        self.quarantined = self._gauge(
            "vpc_cni_quarantined_addresses", "Addresses kept out of use, by reason", "reason"
        )
        self.spooled = self._gauge("vpc_cni_spooled_dels", "DELs recorded and not yet replayed")
        self.throttles = self._counter("vpc_cni_ec2_throttles", "EC2 calls refused for their rate", "operation")
        self.ec2_rate = self._gauge(
            "vpc_cni_ec2_budget_rate", "EC2 calls a second that this node allows itself", "kind"
        )
        self.ec2_tokens = self._gauge("vpc_cni_ec2_budget_tokens", "EC2 calls that could be sent at once", "kind")
        self.shortages = self._counter("vpc_cni_shortages", "Growth that failed, by reason", "reason")
        self.drift_repairs = self._counter(
            "vpc_cni_drift_repairs", "Objects put back after someone removed them", "kind"
        )
        self.reaped = self._counter("vpc_cni_reaped_links", "Pod links deleted")
        self.ready = self._gauge("vpc_cni_ready", "1 when ADDs are served")

    def exposition(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return _APPENDED_TOTAL.sub(rb"\1", generate_latest(self.registry))
