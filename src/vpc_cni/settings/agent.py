"""The agent's settings as one value, read once at start.

Where the reference logs a warning and takes a default for a value that it cannot use, this refuses to start: a
typing mistake in a manifest is then seen in the roll-out that made it, not weeks later (docs/adr/0006).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from vpc_cni.errors import ConfigurationError
from vpc_cni.settings import cloud, elsewhere, host, install, kubernetes, modes, network, pool
from vpc_cni.settings._reader import EnvironmentReader, effect_free
from vpc_cni.settings._setting import Setting
from vpc_cni.settings.cloud import CloudSettings, read_cloud
from vpc_cni.settings.host import HostSettings, read_host
from vpc_cni.settings.kubernetes import KubernetesSettings, read_kubernetes
from vpc_cni.settings.network import NetworkSettings, read_network
from vpc_cni.settings.pool import PoolSettings, read_pool

SETTINGS: tuple[Setting[object], ...] = (
    *pool.SETTINGS,
    *network.SETTINGS,
    *cloud.SETTINGS,
    *host.SETTINGS,
    *kubernetes.SETTINGS,
    *modes.MODES,
    *install.SETTINGS,
    *elsewhere.SETTINGS,
)
OWN_PREFIX = "VPC_CNI_"


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Everything that the environment decides about an agent.

    ``notices`` are lines for the log about variables that were set but have no effect. ``values`` maps the name of
    each variable in use to its effective value, None where it is not set; for introspection, not for decisions.
    """

    pool: PoolSettings
    network: NetworkSettings
    cloud: CloudSettings
    host: HostSettings
    kubernetes: KubernetesSettings
    notices: tuple[str, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)


def load_agent_settings(environ: Mapping[str, str]) -> AgentSettings:
    """Parse the agent's environment. Pure.

    Raises:
        ConfigurationError: at least one variable is wrong; the message names every such variable, its value, what
            is allowed and what to do.
    """
    environment = EnvironmentReader(environ)
    modes.check_modes(environment)
    network_settings = read_network(environment)
    settings = AgentSettings(
        pool=read_pool(environment),
        network=network_settings,
        cloud=read_cloud(environment),
        host=read_host(environment),
        kubernetes=read_kubernetes(environment),
        notices=_notices(environment, network_settings),
        values=MappingProxyType(environment.values),
    )
    if environment.problems:
        raise _error(environment.problems)
    return settings


def _notices(environment: EnvironmentReader, settings: NetworkSettings) -> tuple[str, ...]:
    environment.notice_without_effect(effect_free(SETTINGS))
    environment.notice_unknown((setting.name for setting in SETTINGS), OWN_PREFIX)
    notices = list(environment.notices)
    if settings.pod_mtu_bytes > settings.eni_mtu_bytes:
        notices.append(
            f"POD_MTU={settings.pod_mtu_bytes} is more than AWS_VPC_ENI_MTU={settings.eni_mtu_bytes}: pods will learn "
            "the smaller size from the node for each destination, or lose large packets where ICMP is filtered"
        )
    return tuple(notices)


def _error(problems: list[str]) -> ConfigurationError:
    count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
    return ConfigurationError(
        f"{count} wrong:\n" + "".join(f"  {line}\n" for line in problems) + "the agent does not start",
        hint="change the environment of container aws-node "
        "(kubectl -n kube-system set env daemonset/aws-node NAME=VALUE; NAME- removes one); see docs/settings.md",
    )
