"""What an agent finds out and decides once, before it serves pods: who the node is, its limits, which links work."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from vpc_cni.agent.discovery import NodeIdentity
from vpc_cni.agent.errors_seen import ErrorsSeen
from vpc_cni.agent.health import Health
from vpc_cni.agent.host_network import HostNetwork
from vpc_cni.agent.provision import NodeFacts
from vpc_cni.ec2 import InstanceIdentity
from vpc_cni.errors import CloudError, KernelError
from vpc_cni.ipam import Targets
from vpc_cni.ipam.limits import InstanceLimits
from vpc_cni.model import Eni
from vpc_cni.settings import AgentSettings

_log = logging.getLogger(__name__)

_IDENTITY_RETRY_SECONDS = 1.0


async def wait_for_identity(
    ask: Callable[[], Awaitable[InstanceIdentity]], health: Health, errors: ErrorsSeen
) -> InstanceIdentity:
    """Ask metadata who we are until it answers: a node may boot before its network is there."""
    while True:
        try:
            return await ask()
        except CloudError as err:
            health.phase = f"waiting for instance metadata: {err.message}"
            errors.add(err.operation, err)
            _log.warning("waiting for instance metadata: %s", err)
            await asyncio.sleep(_IDENTITY_RETRY_SECONDS)


async def set_up_links(network: HostNetwork, enis: Sequence[Eni], node: NodeIdentity, errors: ErrorsSeen) -> list[Eni]:
    """Configure the host and every ENI, the primary one first; that one must work.

    Returns:
        The others whose link is not there or refuses: pods keep what they have on them and get nothing new until
        they can be set up. Nobody waits for them here, since all pods of the node would wait.

    Raises:
        KernelError: the primary ENI, or the host, cannot be set up.
    """
    primary, *secondary = enis
    await network.set_up_primary(primary, node.vpc_cidrs)
    closed = []
    for eni in secondary:
        try:
            await network.set_up(eni, patience_seconds=0)
        except KernelError as err:
            closed.append(eni)
            errors.add("set up ENI", err)
            _log.error("%s gets no new pods until its link works: %s", eni.eni_id, err)
    return closed


def node_facts(settings: AgentSettings, node: NodeIdentity, enis: Iterable[Eni]) -> NodeFacts:
    """Return what new ENIs and their tags are made from. Pure."""
    return NodeFacts(
        instance_id=node.instance.instance_id,
        vpc_id=node.vpc_id,
        security_groups=node.security_groups,
        subnet_cidrs={eni.subnet_id: eni.subnet_cidr for eni in enis},
        cluster_name=settings.cloud.cluster_name,
        extra_tags=dict(settings.cloud.additional_eni_tags),
    )


def growth_targets(settings: AgentSettings, limits: InstanceLimits) -> Targets:
    """Return how much the pool keeps ready, as the settings say it for a node of these limits. Pure."""
    pool = settings.pool
    return Targets(
        warm_eni=pool.warm_eni_target,
        warm_ip=pool.warm_ip_target,
        minimum_ip=pool.minimum_ip_target,
        max_eni=pool.max_eni or 0,
        max_pods=pool.max_pods or limits.pod_addresses + 2,
    )
