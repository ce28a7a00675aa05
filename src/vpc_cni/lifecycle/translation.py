"""Settings of an installation as configuration values of a version, and those that have no such form. Pure.

What EKS takes is less than what an operator can set: images, pull policies, variables that take their value from
elsewhere, empty variables, node selectors and most else of the DaemonSet cannot be expressed.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vpc_cni.errors import ConfigurationError
from vpc_cni.manifests import Profile, Schema, read_configuration
from vpc_cni.manifests.schema import CONFIG_MAP_OPTIONS, NODE_AGENT_OPTIONS, Option
from vpc_cni.self_managed.carrying import Carried
from vpc_cni.self_managed.kept import Setting

# Settings that a Carried has, so that they are translated or named one by one.
_CARRIED = re.compile(
    r'containers\[name="aws-node"\]\.(env\b|resources\b|(liveness|readiness)Probe\.timeoutSeconds)'
    r'|initContainers\[name="aws-vpc-cni-init"\]\.env\b|^\.data\b|\.args$'
    r"|^\.spec\.template\.spec\.(tolerations|affinity)\b|eks\.amazonaws\.com/role-arn"
)


@dataclass(frozen=True, slots=True)
class LeftOver:
    """A setting that cannot be expressed: where it is, its value, and why, for people."""

    setting: str
    value: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Translation:
    """``values`` fit the schema of the version that they were made for; empty when there are no settings."""

    values: Mapping[str, Any]
    left_over: tuple[LeftOver, ...]

    @property
    def text(self) -> str | None:
        """The values as EKS takes them; None for none."""
        return json.dumps(self.values, sort_keys=True) if self.values else None


def translate(
    carried: Carried, settings: Iterable[Setting], profile: Profile, schema: Schema | None = None
) -> Translation:
    """Return configuration values for a version.

    Args:
        schema: of its values, as EKS says it; None for that of ``profile``.
        carried: settings as :func:`~vpc_cni.self_managed.carrying.take_over` finds them.
        settings: all settings, of which those not in ``carried`` cannot be expressed at all.
    """
    values: dict[str, Any] = {}
    left: list[LeftOver] = []
    for name, value, fragment in _candidates(carried):
        reason = "EKS has no such value" if fragment is None else _refusal(value, fragment, profile, schema)
        if fragment is None or reason:
            left.append(LeftOver(name, value, reason))
        else:
            values = _merged(values, fragment)
    for container, entries in carried.references.items():
        left += (
            LeftOver(f"{container}: {each['name']}", each["valueFrom"], "a value from elsewhere has no form")
            for each in entries
        )
    left += (
        LeftOver(f"{each.object.kind} {each.path}", each.value, "EKS has no such value")
        for each in settings
        if not _CARRIED.search(each.path)
    )
    return Translation(values, tuple(left))


def _refusal(value: Any, fragment: Mapping[str, Any], profile: Profile, schema: Schema | None) -> str:
    """Say why a setting cannot be expressed; empty when it can."""
    if value == "":
        return "an empty value has no form"
    try:
        read_configuration(fragment, profile, schema)
    except ConfigurationError as err:
        return err.message.rpartition("error: ")[2]
    return ""


def _candidates(carried: Carried) -> Iterator[tuple[str, Any, dict[str, Any] | None]]:
    """Yield each setting with its name, its value, and the configuration values that would say it."""
    found = carried.configuration
    for name, value in sorted(carried.env.items()):
        yield f"aws-node: {name}", value, {"env": {name: value}}
    for name, value in sorted(found.init_env.items()):
        yield f"aws-vpc-cni-init: {name}", value, {"init": {"env": {name: value}}}
    whole = {
        "resources": found.resources,
        "affinity": found.affinity,
        "tolerations": None if found.tolerations is None else list(found.tolerations),
        "livenessProbeTimeoutSeconds": found.liveness_timeout_seconds,
        "readinessProbeTimeoutSeconds": found.readiness_timeout_seconds,
    }
    for name, setting in whole.items():
        if setting is not None:
            yield name, setting, {name: setting}
    for name, value in sorted(found.config_map.items()):
        yield f"ConfigMap: {name}", value, _option(CONFIG_MAP_OPTIONS, name, value)
    for name, value in sorted(found.node_agent_args.items()):
        yield f"policy agent: --{name}", value, _flag(name, value)


def _flag(name: str, value: str) -> dict[str, Any] | None:
    if name == "enable-network-policy":
        return {"enableNetworkPolicy": value}
    option = _option(NODE_AGENT_OPTIONS, name, value)
    return None if option is None else {"nodeAgent": option}


def _option(options: Iterable[Option], target: str, value: str) -> dict[str, Any] | None:
    option = next((each for each in options if each.target == target), None)
    if option is None:
        return None
    text = value.removeprefix(option.prefix)
    is_number = option.schema.get("type") == "integer" and text.isdecimal()
    return {option.name: int(text) if is_number else text}


def _merged(values: Mapping[str, Any], fragment: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for name, value in fragment.items():
        known = merged.get(name)
        nested = name in ("env", "init", "nodeAgent") and isinstance(known, Mapping)
        merged[name] = _merged(known, value) if nested and isinstance(known, Mapping) else value
    return merged
