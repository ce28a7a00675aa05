"""Default values of the Helm chart and their schema, made from a profile and the table of settings. Pure."""

from typing import Any

from vpc_cni.manifests.definitions import Manifest
from vpc_cni.manifests.profile import Profile
from vpc_cni.manifests.schema import CONFIG_MAP_OPTIONS, Schema, env_schema
from vpc_cni.manifests.workload import (
    DEFAULT_RESOURCES,
    DEFAULT_TOLERATIONS,
    PROBE_TIMEOUT_SECONDS,
    default_affinity,
)
from vpc_cni.settings import SETTINGS, Container, Setting, Standing

_SETTINGS = {setting.name: setting for setting in SETTINGS}
_BOOLEANS = {
    True: ("true", "True", "TRUE", "t", "T", "1"),
    False: ("false", "False", "FALSE", "f", "F", "0"),
}
_DIGEST: Schema = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}


def chart_values(profile: Profile) -> Manifest:
    """Return the default values, in the order to print them."""
    release = str(profile.version.release)
    options = {
        option.name: _typed(option.schema, profile.config_map[option.target])
        for option in CONFIG_MAP_OPTIONS
        if option.target in profile.config_map and option.name != "enableNetworkPolicy"
    }
    return {
        "image": {"registry": "", "tag": str(profile.version), "digest": "", "initDigest": ""},
        "serviceAccount": {"roleArn": ""},
        "env": {name: value.replace("{release}", release) for name, value in sorted(profile.env.items())},
        "init": {"env": dict(sorted(profile.init_env.items()))},
        "resources": DEFAULT_RESOURCES,
        "livenessProbeTimeoutSeconds": PROBE_TIMEOUT_SECONDS,
        "readinessProbeTimeoutSeconds": PROBE_TIMEOUT_SECONDS,
        "tolerations": list(DEFAULT_TOLERATIONS),
        "affinity": default_affinity(profile),
        "enableNetworkPolicy": "false",
        **options,
    }


def env_comment(name: str) -> str:
    """Return what a variable means, as one line without marks; empty for names that are no setting."""
    setting = _SETTINGS.get(name)
    if setting is None:
        return ""
    meaning = setting.meaning.replace("`", "")
    return meaning if setting.standing is Standing.BUILT else f"{meaning} {_standing(setting)}"


def _standing(setting: Setting[object]) -> str:
    if setting.standing is Standing.NO_EFFECT:
        return f"No effect: {setting.why}."
    return f"Only {' or '.join(_as_text(value) for value in setting.built)}: {setting.why}." if setting.built else ""


def chart_schema(profile: Profile) -> Schema:
    """Return the schema of the chart's values: what the agent would refuse at start is refused at install."""
    timeout: Schema = {"type": "integer", "minimum": 1}
    limits: Schema = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
    properties: dict[str, Schema] = {
        "image": _closed(
            registry={"type": "string", "description": "HOST[:PORT][/FOLDER] that holds the images"},
            tag={"type": "string", "minLength": 1},
            digest=_DIGEST,
            initDigest=_DIGEST,
        ),
        "serviceAccount": _closed(
            roleArn={"type": "string", "pattern": r"^(arn:aws[a-z-]*:iam::\d{12}:role/.+)?$"},
        ),
        "env": _env(Container.AGENT),
        "init": _closed(env=_env(Container.INIT)),
        "resources": {"type": "object", "properties": {"limits": limits, "requests": limits}},
        "livenessProbeTimeoutSeconds": timeout,
        "readinessProbeTimeoutSeconds": timeout,
        "tolerations": {"type": "array", "items": {"type": "object"}},
        "affinity": {"type": "object"},
        "enableNetworkPolicy": {"enum": ["false"], "description": "network policy is not built yet"},
    }
    for option in CONFIG_MAP_OPTIONS:
        if option.target in profile.config_map and option.name not in properties:
            properties[option.name] = _plain(option.schema)
    # Helm itself puts "global" into the values of every chart.
    properties["global"] = {"type": "object"}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart vpc-cni",
        **_closed(**properties),
    }


def _closed(**properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _env(reader: Container) -> Schema:
    """Describe the variables of a container; others are allowed, as AWS SDKs and proxies have theirs."""
    known = {
        each.name: _variable(each) for each in sorted(SETTINGS, key=lambda each: each.name) if reader in each.readers
    }
    return {"type": "object", "properties": known, "additionalProperties": {"type": "string"}}


def _variable(setting: Setting[object]) -> Schema:
    schema: Schema = {"type": "string", "description": env_comment(setting.name)}
    # A setting without effect accepts every value; one that chooses a mode only those that are served.
    if setting.built and setting.standing is not Standing.NO_EFFECT:
        return {**schema, "enum": [text for value in setting.built for text in _spellings(value)]}
    return {**schema, **_plain(env_schema(setting))}


def _plain(schema: Schema) -> Schema:
    """Return a schema with patterns in the place of formats that Helm's validator does not know."""
    match schema.get("format"):
        case "boolean":
            return {"type": "string", "enum": ["", *_BOOLEANS[True], *_BOOLEANS[False]]}
        case "integer":
            return {"type": "string", "pattern": "^([+-]?[0-9]+)?$"}
        case _:
            return dict(schema)


def _spellings(value: object) -> tuple[str, ...]:
    return _BOOLEANS[value] if isinstance(value, bool) else (str(value),)


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _typed(schema: Schema, text: str) -> Any:
    return int(text) if schema["type"] == "integer" else text
