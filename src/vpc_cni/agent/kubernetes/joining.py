"""Finds the cluster that the agent belongs to, if there is one."""

import logging
from collections.abc import Callable, Mapping

from vpc_cni.agent.errors_seen import ErrorsSeen
from vpc_cni.agent.kubernetes.annotator import PodAddress
from vpc_cni.agent.kubernetes.cluster import ClusterOptions, ClusterSide
from vpc_cni.agent.kubernetes.own_node import NodeView
from vpc_cni.agent.ledger import Ledger
from vpc_cni.errors import ConfigurationError
from vpc_cni.kube import KubeClient, Timing, find_access
from vpc_cni.model import SandboxKey
from vpc_cni.settings import KubernetesSettings

_log = logging.getLogger(__name__)


def join_cluster(
    settings: KubernetesSettings,
    environ: Mapping[str, str],
    *,
    ledger: Ledger,
    on_view: Callable[[NodeView], None],
    errors: ErrorsSeen,
    clock: Callable[[], float],
) -> ClusterSide | None:
    """Return the agent's side of its cluster, not started yet; None outside a cluster.

    A cluster that is there and cannot be talked to (no token, say) is reported and gone without: pods come first.

    Raises:
        ConfigurationError: annotations are asked for, and there is nobody to write them to.
    """
    try:
        access = find_access(environ, kubeconfig=settings.kubeconfig, endpoint=settings.cluster_endpoint)
    except ConfigurationError as err:
        errors.add("join cluster", err)
        _log.error("the Kubernetes API is not used: %s", err)
        return None
    if access is None:
        if settings.annotate_pod_ip:
            raise ConfigurationError(
                "ANNOTATE_POD_IP=true, and there is no Kubernetes API server",
                hint="run the agent in a pod with its service account, or set VPC_CNI_KUBECONFIG",
            )
        return None
    _log.info("the Kubernetes API is at %s", access.server)
    options = ClusterOptions(settings.node_name, settings.pod_name, access.namespace, settings.annotate_pod_ip)
    client = KubeClient(access, timing=Timing(now=clock))
    return ClusterSide(client, options, pods=lambda: complete_pods(ledger), on_view=on_view, errors=errors, clock=clock)


def complete_pods(ledger: Ledger) -> dict[SandboxKey, PodAddress]:
    """Return the pods whose networks are complete: an address alone may still be taken back."""
    return {
        each.key: PodAddress(each.pod, each.address)
        for each in ledger.pool.allocations()
        if ledger.wired(each.key) is not None
    }
