"""Configuration values: what a user may change about a version, in the form of EKS. Pure.

The text is JSON or YAML with the shape of :func:`~vpc_cni.manifests.schema.configuration_schema`. Values that were
checked become a :class:`Configuration`, which the renderer lays over the profile's defaults.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.manifests._schema_check import find_problems, type_name
from vpc_cni.manifests.profile import Profile
from vpc_cni.manifests.schema import CONFIG_MAP_OPTIONS, NODE_AGENT_OPTIONS, Option, Schema, configuration_schema
from vpc_cni.manifests.yaml_text import parse_yaml

# What stands at the top of values, beside the options of the ConfigMap.
_PLACED = (
    "affinity",
    "eniConfig",
    "env",
    "init",
    "livenessProbeTimeoutSeconds",
    "nodeAgent",
    "readinessProbeTimeoutSeconds",
    "resources",
    "tolerations",
)


@dataclass(frozen=True, slots=True)
class EniConfig:
    """Subnet and security groups of pods in one zone; ``name`` is the zone."""

    name: str
    subnet: str
    security_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Configuration:
    """What differs from a profile's defaults. None and empty mean: as the profile says.

    ``config_map`` holds keys of ConfigMap ``amazon-vpc-cni``, ``node_agent_args`` flags of the third container.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    init_env: Mapping[str, str] = field(default_factory=dict)
    config_map: Mapping[str, str] = field(default_factory=dict)
    node_agent_args: Mapping[str, str] = field(default_factory=dict)
    eni_configs: tuple[EniConfig, ...] = ()
    affinity: Mapping[str, Any] | None = None
    tolerations: tuple[Mapping[str, Any], ...] | None = None
    resources: Mapping[str, Any] | None = None
    liveness_timeout_seconds: int | None = None
    readiness_timeout_seconds: int | None = None

    @property
    def network_policy(self) -> bool:
        """Whether the values turn network policy on."""
        return self.node_agent_args.get("enable-network-policy") == "true"


def parse_configuration_text(text: str, origin: str = "the configuration values") -> dict[str, Any]:
    """Read JSON or YAML; an empty text is an empty object.

    Raises:
        CallerError: it is no JSON or YAML, or not one object.
    """
    documents = _parse_json(text) or parse_yaml(text, origin)
    if not documents:
        return {}
    if len(documents) > 1 or not isinstance(documents[0], dict):
        found = f"{len(documents)} documents" if len(documents) > 1 else type_name(documents[0])
        raise CallerError(f"{origin} must be one object, found {found}", hint='write {"env": {"NAME": "value"}}')
    return documents[0]


def _parse_json(text: str) -> list[Any]:
    """Return the one value of a JSON text; nothing when it is none: then it may be YAML.

    Not all JSON is YAML: indentation may be tabs. And this is faster by far.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [] if value is None else [value]


def read_configuration(values: Mapping[str, Any], profile: Profile, schema: Schema | None = None) -> Configuration:
    """Check values against the schema of a version and take them over.

    Args:
        schema: what EKS itself says; None for that of the profile. What it allows and the profile does not know where
            to put is left out; :func:`find_unplaced` names it.

    Raises:
        ConfigurationError: they do not fit; one message names every problem in the words of the EKS API.
    """
    problems = find_problems(configuration_schema(profile) if schema is None else schema, dict(values))
    if problems:
        raise ConfigurationError(
            f"ConfigurationValue provided in request is not supported: Json schema validation failed with error: "
            f"[{', '.join(problems)}]",
            hint=f"vpc-cni self-managed schema --version {profile.version} shows what is allowed",
        )
    node_agent_args = _options(NODE_AGENT_OPTIONS, values.get("nodeAgent", {}))
    config_map = _options(CONFIG_MAP_OPTIONS, values)
    if "enableNetworkPolicy" in values:
        # One switch for both sides: the controller in the control plane, and the agent on the node.
        node_agent_args["enable-network-policy"] = values["enableNetworkPolicy"]
    tolerations = values.get("tolerations")
    return Configuration(
        env=dict(values.get("env", {})),
        init_env=dict(values.get("init", {}).get("env", {})),
        config_map=config_map,
        node_agent_args=node_agent_args,
        eni_configs=_eni_configs(values.get("eniConfig", {})),
        affinity=values.get("affinity"),
        tolerations=None if tolerations is None else tuple(tolerations),
        resources=values.get("resources"),
        liveness_timeout_seconds=values.get("livenessProbeTimeoutSeconds"),
        readiness_timeout_seconds=values.get("readinessProbeTimeoutSeconds"),
    )


def find_unplaced(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return paths of values that :func:`read_configuration` does not know where to put, whatever the schema says."""
    known = {*_PLACED, *(option.name for option in CONFIG_MAP_OPTIONS)}
    below = {"init": {"env"}, "nodeAgent": {option.name for option in NODE_AGENT_OPTIONS}}
    top = [name for name in values if name not in known]
    deeper = [
        f"{name}.{inner}"
        for name, names in below.items()
        if isinstance(given := values.get(name), Mapping)
        for inner in given
        if inner not in names
    ]
    return (*sorted(top), *sorted(deeper))


def _options(options: Iterable[Option], values: Mapping[str, Any]) -> dict[str, str]:
    return {option.target: f"{option.prefix}{values[option.name]}" for option in options if option.name in values}


def _eni_configs(values: Mapping[str, Any]) -> tuple[EniConfig, ...]:
    if not values.get("create"):
        return ()
    return tuple(
        EniConfig(zone, subnet["id"], tuple(subnet.get("securityGroups", ())))
        for zone, subnet in sorted(values["subnets"].items())
    )
