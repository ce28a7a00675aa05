"""The JSON schema of a version's configuration values, made from the table of settings. Pure.

The shape is that of ``aws eks describe-addon-configuration``: draft-06, one definition for each object, nothing
additional allowed, texts with the formats ``boolean`` and ``integer``. General validators ignore those two formats;
``configuration`` checks them. For v1.15.1-eksbuild.1 the text equals the published one (a test compares).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from vpc_cni.manifests.profile import Profile
from vpc_cni.manifests.versions import AddonVersion, parse_addon_version
from vpc_cni.settings import SETTINGS, Setting

Schema: TypeAlias = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_BOOLEAN: Schema = {"format": "boolean", "type": "string"}
_INTEGER: Schema = {"format": "integer", "type": "string"}
_NUMBER: Schema = {"type": "integer"}
# The one variable that EKS lists the values of; `none`, which the agent knows too, cannot be asked for there.
_CHOICES = {"NETWORK_POLICY_ENFORCING_MODE": ("standard", "strict")}


@dataclass(frozen=True, slots=True)
class Option:
    """A configuration value that becomes one text elsewhere: ``target`` is a ConfigMap key or a flag."""

    name: str
    schema: Schema
    target: str
    prefix: str = ""


# Option of configuration values -> key of ConfigMap amazon-vpc-cni.
CONFIG_MAP_OPTIONS = (
    Option("enableWindowsIpam", _BOOLEAN, "enable-windows-ipam"),
    Option("enableNetworkPolicy", _BOOLEAN, "enable-network-policy-controller"),
    Option("enableWindowsPrefixDelegation", _BOOLEAN, "enable-windows-prefix-delegation"),
    Option("warmWindowsPrefixTarget", _NUMBER, "warm-prefix-target"),
    Option("warmWindowsIPTarget", _NUMBER, "warm-ip-target"),
    Option("minimumWindowsIPTarget", _NUMBER, "minimum-ip-target"),
    Option("branchENICooldown", _NUMBER, "branch-eni-cooldown"),
)
# Option below nodeAgent -> flag of the third container.
NODE_AGENT_OPTIONS = (
    Option("enableCloudWatchLogs", _BOOLEAN, "enable-cloudwatch-logs"),
    Option("enablePolicyEventLogs", _BOOLEAN, "enable-policy-event-logs"),
    Option("healthProbeBindAddr", _INTEGER, "health-probe-bind-addr", prefix=":"),
    Option("metricsBindAddr", _INTEGER, "metrics-bind-addr", prefix=":"),
    Option("conntrackCacheCleanupPeriod", _NUMBER, "conntrack-cache-cleanup-period"),
    Option("conntrackCacheTableSize", _NUMBER, "conntrack-cache-table-size"),
    Option("logLevel", _TEXT, "log-level"),
    Option("networkPolicyAgentLogFileLocation", _TEXT, "log-file"),
)


def configuration_schema(profile: Profile) -> Schema:
    """Return the schema of a version's configuration values, with the keys of every object sorted."""
    return {
        "$ref": "#/definitions/VpcCni",
        "$schema": "http://json-schema.org/draft-06/schema#",
        "definitions": _definitions(profile),
        "description": "vpc-cni",
    }


def schema_text(profile: Profile) -> str:
    """Return the schema as EKS returns it: compact JSON."""
    return json.dumps(configuration_schema(profile), separators=(",", ":"))


def _definitions(profile: Profile) -> dict[str, Schema]:
    known = {
        "Affinity": {"type": ["object", "null"]},
        "EniConfig": _ENI_CONFIG,
        "Env": _object("Env", _env(profile.configurable_env, profile.version)),
        "Init": _object("Init", {"env": _reference("InitEnv")}),
        "InitEnv": _object("InitEnv", _env(profile.configurable_init_env, profile.version)),
        "Limits": _object("Limits", {"cpu": _TEXT, "memory": _TEXT}),
        "NodeAgent": _object("NodeAgent", _node_agent(profile)),
        "Resources": _object("Resources", {"limits": _reference("Limits"), "requests": _reference("Limits")}),
        "Tolerations": {"additionalProperties": False, "items": {"type": "object"}, "type": "array"},
        "VpcCni": _object("VpcCni", {name: _TOP[name] for name in sorted(profile.properties) if name in _TOP}),
    }
    used = _used({"$ref": "#/definitions/VpcCni"}, known)
    return {name: known[name] for name in sorted(used)}


def _used(schema: object, known: dict[str, Schema]) -> set[str]:
    """Return the names of all definitions that a schema leads to."""
    if isinstance(schema, dict):
        name = str(schema.get("$ref", "")).removeprefix("#/definitions/")
        deeper = [known[name]] if name else list(schema.values())
        return ({name} if name else set()).union(*(_used(each, known) for each in deeper))
    return set()


def _object(title: str, properties: dict[str, Schema]) -> Schema:
    return {"additionalProperties": False, "properties": properties, "title": title, "type": "object"}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _env(names: Iterable[str], version: AddonVersion) -> dict[str, Schema]:
    """Describe variables by their settings, leaving out those that the version does not know."""
    settings = {setting.name: setting for setting in SETTINGS}
    known = [settings[name] for name in sorted(names) if introduced(settings[name]) <= version.release]
    return {setting.name: env_schema(setting) for setting in known}


def introduced(setting: Setting[object]) -> AddonVersion:
    """Return the version of the reference that introduced a variable; the oldest one where that is long ago."""
    number = setting.since.partition(",")[0]
    if number.startswith("before "):
        return AddonVersion(0, 0, 0)
    return parse_addon_version(number if number.count(".") == 2 else f"{number}.0")


def env_schema(setting: Setting[object]) -> Schema:
    """Describe the text of one variable by the kind of its setting."""
    if setting.name in _CHOICES:
        return {"enum": list(_CHOICES[setting.name]), "type": "string"}
    kind = setting.kind.name.partition(",")[0]
    return {"boolean": _BOOLEAN, "integer": _INTEGER}.get(kind, _TEXT)


def _node_agent(profile: Profile) -> dict[str, Schema]:
    options = [option for option in NODE_AGENT_OPTIONS if option.target in profile.node_agent_args]
    return {option.name: option.schema for option in sorted(options, key=lambda option: option.name)}


_ENI_CONFIG: Schema = {
    "additionalProperties": False,
    "properties": {
        "create": {"type": "boolean"},
        "region": _TEXT,
        "subnets": {
            "additionalProperties": {
                "additionalProperties": False,
                "properties": {"id": _TEXT, "securityGroups": {"items": _TEXT, "type": "array"}},
                "required": ["id"],
                "type": "object",
            },
            "minProperties": 1,
            "type": "object",
        },
    },
    "required": ["create", "region", "subnets"],
    "type": "object",
}
# What can stand at the top; a profile says which of these its version has.
_TOP: dict[str, Schema] = {
    "affinity": _reference("Affinity"),
    "eniConfig": _reference("EniConfig"),
    "env": _reference("Env"),
    "init": _reference("Init"),
    "livenessProbeTimeoutSeconds": _NUMBER,
    "nodeAgent": _reference("NodeAgent"),
    "readinessProbeTimeoutSeconds": _NUMBER,
    "resources": _reference("Resources"),
    "tolerations": _reference("Tolerations"),
    **{option.name: option.schema for option in CONFIG_MAP_OPTIONS},
}
