"""The renderer: a profile and what a user wants of it become Kubernetes objects. Pure.

One function for every region, partition, registry, version and image set; its output is ordered so that the same
input gives the same text. What this project's agent cannot do is refused here by name, as the agent would at start.
"""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from vpc_cni.errors import ConfigurationError
from vpc_cni.manifests.access import cluster_role, cluster_role_binding, plan_rules, service_account
from vpc_cni.manifests.configuration import Configuration
from vpc_cni.manifests.definitions import (
    ENI_CONFIG_API_VERSION,
    Manifest,
    eni_config_definition,
    policy_endpoint_definition,
)
from vpc_cni.manifests.images import Images, ImageSet
from vpc_cni.manifests.metadata import CONFIG_MAP_NAME, metadata
from vpc_cni.manifests.profile import Profile, Trait
from vpc_cni.manifests.registries import Partition
from vpc_cni.manifests.schema import introduced
from vpc_cni.manifests.workload import Environment, daemon_set
from vpc_cni.settings import SETTINGS, load_agent_settings

_ROLE_ARN = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::\d{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class IpFamily(enum.StrEnum):
    """The family of pod addresses, fixed when a cluster is made."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """What an installation is to be.

    Attributes:
        images: from :func:`~vpc_cni.manifests.images.plan_images` with the same profile.
        configuration: values of the form that EKS knows, already checked.
        env: more variables of container ``aws-node``, such as those that the EKS form leaves out; win over all.
        role_arn: IAM role of the service account; empty for the node's role.
        partition: where the cluster is; None when not known, then the role's partition is not checked.
    """

    images: Images
    configuration: Configuration = field(default_factory=Configuration)
    env: Mapping[str, str] = field(default_factory=dict)
    role_arn: str = ""
    partition: Partition | None = None
    ip_family: IpFamily = IpFamily.IPV4


@dataclass(frozen=True, slots=True)
class Rendered:
    """The objects in the order to apply them, and lines for people about what was asked for and has no effect."""

    objects: tuple[Manifest, ...]
    notes: tuple[str, ...] = ()


def render(profile: Profile, options: RenderOptions) -> Rendered:
    """Return the objects of an installation.

    Raises:
        ConfigurationError: the options ask for something that is wrong, or that the image set cannot do; one message
            names everything.
    """
    environment = _environment(profile, options)
    problems = _problems(options, environment)
    notes: tuple[str, ...] = ()
    if options.images.image_set is ImageSet.OWN:
        problems += _unbuilt(options.configuration)
        settings_problem, notes = _judge_settings(environment.agent)
        problems += settings_problem
        notes += _without_effect(options.configuration)
    else:
        notes = _unknown_to_reference(profile, {**options.configuration.env, **options.env})
    if problems:
        raise ConfigurationError("\n".join(["this cannot be rendered:", *(f"  {line}" for line in problems)]))
    return Rendered(_objects(profile, options, environment), notes)


def _objects(profile: Profile, options: RenderOptions, environment: Environment) -> tuple[Manifest, ...]:
    rules = plan_rules(profile, options.images.image_set, environment.agent)
    has_policy_agent = options.images.policy_agent is not None
    has_domains = Trait.POLICY_ENDPOINT_DOMAINS in profile.traits
    return (
        eni_config_definition(with_fields=Trait.ENI_CONFIG_FIELDS in profile.traits),
        *((policy_endpoint_definition(with_domains=has_domains),) if has_policy_agent else ()),
        service_account(profile, options.role_arn),
        *_config_map(profile, options.configuration),
        cluster_role(profile, rules),
        cluster_role_binding(profile),
        daemon_set(profile, options.images, environment, options.configuration),
        *_eni_configs(profile, options.configuration),
    )


def _environment(profile: Profile, options: RenderOptions) -> Environment:
    configuration, is_ipv6 = options.configuration, options.ip_family is IpFamily.IPV6
    family = {"ENABLE_IPv4": str(not is_ipv6).lower(), "ENABLE_IPv6": str(is_ipv6).lower()}
    release = str(profile.version.release)
    defaults = {name: value.replace("{release}", release) for name, value in profile.env.items()}
    return Environment(
        agent={**defaults, **family, **configuration.env, **options.env},
        downward={name: path for name, path in profile.downward_env.items() if name not in options.env},
        init={**profile.init_env, "ENABLE_IPv6": family["ENABLE_IPv6"], **configuration.init_env},
        policy_agent_args={
            **profile.node_agent_args,
            **({"enable-ipv6": "true"} if is_ipv6 else {}),
            **configuration.node_agent_args,
        },
    )


def _problems(options: RenderOptions, environment: Environment) -> list[str]:
    problems = [
        f"{name!r} is no name of a variable" for name in sorted(environment.agent) if not _ENV_NAME.fullmatch(name)
    ]
    if options.role_arn:
        found = _ROLE_ARN.fullmatch(options.role_arn)
        if not found:
            problems.append(f"{options.role_arn!r} is no role: write arn:aws:iam::111122223333:role/NAME")
        elif options.partition is not None and found["partition"] != options.partition:
            problems.append(f"role {options.role_arn} lies in another partition than the region: {options.partition}")
    return problems


def _unbuilt(configuration: Configuration) -> list[str]:
    problems = []
    if configuration.network_policy:
        problems.append("enableNetworkPolicy: network policy is not built yet; leave it out or set it to false")
    if configuration.eni_configs:
        problems.append("eniConfig: custom networking is not built yet; leave it out or set create to false")
    return problems


def _judge_settings(env: Mapping[str, str]) -> tuple[list[str], tuple[str, ...]]:
    """Ask the agent's own reader what it would say to these variables."""
    try:
        return [], load_agent_settings(env).notices
    except ConfigurationError as err:
        return [line.strip() for line in err.message.splitlines()[1:-1]], ()


def _without_effect(configuration: Configuration) -> tuple[str, ...]:
    flags = set(configuration.node_agent_args) - {"enable-network-policy"}
    return ("nodeAgent has no effect: there is no third container until network policy is built",) if flags else ()


def _unknown_to_reference(profile: Profile, env: Mapping[str, str]) -> tuple[str, ...]:
    """Note variables that the reference accepts and ignores: those of later versions, and ours."""
    asked = [setting for setting in SETTINGS if setting.name in env]
    ours = [f"{each.name} has no effect: the reference does not know it" for each in asked if each.is_ours]
    later = [
        f"{each.name} has no effect in {profile.version}: it came with {introduced(each)}"
        for each in asked
        if not each.is_ours and introduced(each) > profile.version.release
    ]
    return (*ours, *later)


def _config_map(profile: Profile, configuration: Configuration) -> tuple[Manifest, ...]:
    """Return the settings that the control plane reads; nothing for versions without them."""
    if not profile.config_map:
        return ()
    return (
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(profile, namespaced=True, name=CONFIG_MAP_NAME),
            "data": {**profile.config_map, **configuration.config_map},
        },
    )


def _eni_configs(profile: Profile, configuration: Configuration) -> tuple[Manifest, ...]:
    return tuple(
        {
            "apiVersion": ENI_CONFIG_API_VERSION,
            "kind": "ENIConfig",
            "metadata": metadata(profile, namespaced=False, name=config.name),
            "spec": {
                **({"securityGroups": list(config.security_groups)} if config.security_groups else {}),
                "subnet": config.subnet,
            },
        }
        for config in configuration.eni_configs
    )
