"""Finds the cluster that the agent belongs to, if there is one, and goes on trying while it cannot be talked to."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from vpc_cni.agent.errors_seen import ErrorsSeen
from vpc_cni.agent.kubernetes.annotator import PodAddress
from vpc_cni.agent.kubernetes.cluster import ClusterOptions, ClusterSide
from vpc_cni.agent.kubernetes.own_node import NodeView
from vpc_cni.agent.ledger import Ledger
from vpc_cni.errors import ConfigurationError
from vpc_cni.kube import SERVICE_ACCOUNT, Backoff, ClusterAccess, KubeClient, Timing, find_access
from vpc_cni.model import SandboxKey
from vpc_cni.settings import KubernetesSettings

_log = logging.getLogger(__name__)

_BACKOFF = Backoff(base_seconds=1.0, ceiling_seconds=30.0)


async def join_cluster(
    settings: KubernetesSettings,
    environ: Mapping[str, str],
    *,
    errors: ErrorsSeen,
    chance: Callable[[], float],
    account: Path = SERVICE_ACCOUNT,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> ClusterAccess | None:
    """Return how to reach the cluster, as soon as it is known; None outside a cluster.

    A cluster that is there and cannot be talked to (no token yet, say, or half a kubeconfig) is reported and asked for
    again: a file that is missing at boot may come, and pods do without until then.

    Args:
        errors: takes what is missing, for `vpc-cni node status`.
        chance: uniform in [0, 1); jitter.
        pause: waits for a number of seconds.
    """
    failures, told = 0, ""
    while True:
        try:
            return find_access(
                environ, kubeconfig=settings.kubeconfig, endpoint=settings.cluster_endpoint, account=account
            )
        except ConfigurationError as err:
            failures += 1
            errors.add("join cluster", err)
            if told != str(err):
                told = str(err)
                _log.error("the Kubernetes API is not used until this is mended: %s; pods are not affected", err)
        await pause(_BACKOFF.delay(failures, chance=chance()))


def make_cluster_side(
    access: ClusterAccess,
    settings: KubernetesSettings,
    ledger: Ledger,
    *,
    on_view: Callable[[NodeView], None],
    errors: ErrorsSeen,
    clock: Callable[[], float],
) -> ClusterSide:
    """Return the agent's side of its cluster, not started yet."""
    _log.info("the Kubernetes API is at %s", access.server)
    options = ClusterOptions(settings.node_name, settings.pod_name, access.namespace, settings.annotate_pod_ip)
    client = KubeClient(access, timing=Timing(now=clock))
    return ClusterSide(client, options, pods=lambda: complete_pods(ledger), on_view=on_view, errors=errors, clock=clock)


def check_annotations(settings: KubernetesSettings, environ: Mapping[str, str]) -> None:
    """Refuse to annotate pods where no API server is named at all.

    Raises:
        ConfigurationError: annotations are asked for, and there is nobody to write them to.
    """
    is_named = bool(
        settings.kubeconfig is not None or settings.cluster_endpoint or environ.get("KUBERNETES_SERVICE_HOST")
    )
    if settings.annotate_pod_ip and not is_named:
        raise ConfigurationError(
            "ANNOTATE_POD_IP=true, and there is no Kubernetes API server",
            hint="run the agent in a pod with its service account, or set VPC_CNI_KUBECONFIG",
        )


def complete_pods(ledger: Ledger) -> dict[SandboxKey, PodAddress]:
    """Return the pods whose networks are complete: an address alone may still be taken back."""
    return {
        each.key: PodAddress(each.pod, each.address)
        for each in ledger.pool.allocations()
        if ledger.wired(each.key) is not None
    }
