"""The network configuration list as a runtime reads it. Pure.

Source: containernetworking/cni SPEC.md 1.1.0, sections 1 "Network configuration format" and 3 "Execution of
Network Configurations".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from vpc_cni.errors import CniCode, ConfigurationError

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class PluginConfig:
    """One entry of ``plugins``: the executable's name, its capabilities that are true, and all else unread."""

    type: str
    capabilities: frozenset[str]
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A whole list: what every plugin of the chain has in common, and the chain in the order of ADD."""

    name: str
    cni_version: str
    plugins: tuple[PluginConfig, ...]
    disable_check: bool = False
    disable_gc: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """One pod network identity with everything a runtime passes along.

    ``args`` becomes CNI_ARGS in the given order. ``capability_args`` maps a capability to its value; a plugin
    sees only those that its configuration declares.
    """

    container_id: str
    ifname: str
    netns_path: str
    args: tuple[tuple[str, str], ...] = ()
    capability_args: Mapping[str, object] = field(default_factory=dict)

    def environment(self, command: str, plugin_path: str) -> dict[str, str]:
        """Return the CNI variables of one call. Source: SPEC.md section 2, "Parameters"."""
        return {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.container_id,
            "CNI_NETNS": self.netns_path,
            "CNI_IFNAME": self.ifname,
            "CNI_ARGS": ";".join(f"{key}={value}" for key, value in self.args),
            "CNI_PATH": plugin_path,
        }


def parse_network_config(text: str, source: str) -> NetworkConfig:
    """Read a configuration list. ``source`` is what error messages call it.

    Raises:
        ConfigurationError: not JSON, or a field is missing or of the wrong type.
    """
    try:
        document = json.loads(text)
    except ValueError as err:
        raise ConfigurationError(f"{source} is not JSON: {err}", cni_code=CniCode.DECODING_FAILURE) from err
    if not isinstance(document, dict):
        raise _wrong(source, "it must hold one JSON object")
    plugins = document.get("plugins")
    if not isinstance(plugins, list) or not plugins:
        raise _wrong(source, '"plugins" must be a list with at least one entry')
    return NetworkConfig(
        name=_text(document, "name", source),
        cni_version=_text(document, "cniVersion", source),
        plugins=tuple(_parse_plugin(entry, source) for entry in plugins),
        disable_check=_flag(document.get("disableCheck", False)),
        disable_gc=_flag(document.get("disableGC", False)),
    )


def derive_plugin_config(
    network: NetworkConfig,
    plugin: PluginConfig,
    capability_args: Mapping[str, object],
    prev_result: Mapping[str, object] | None,
) -> JsonObject:
    """Return what one plugin reads on stdin. Pure.

    Source: SPEC.md section 3, "Deriving execution configuration from plugin configuration": name, version,
    runtimeConfig and prevResult are put in, ``capabilities`` is taken out, all else passes unchanged.
    """
    config: JsonObject = {key: value for key, value in plugin.fields.items() if key != "capabilities"}
    config["name"] = network.name
    config["cniVersion"] = network.cni_version
    runtime_config = {key: value for key, value in capability_args.items() if key in plugin.capabilities}
    if runtime_config:
        config["runtimeConfig"] = runtime_config
    if prev_result is not None:
        config["prevResult"] = dict(prev_result)
    return config


def version_at_least(version: str, minimum: str) -> bool:
    """Compare two specification versions number by number. Pure."""
    return _numbers(version) >= _numbers(minimum)


def _numbers(version: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in version.split("."))
    except ValueError as err:
        raise ConfigurationError(f'"{version}" is not a CNI version', cni_code=CniCode.INCOMPATIBLE_VERSION) from err


def _parse_plugin(entry: object, source: str) -> PluginConfig:
    if not isinstance(entry, dict):
        raise _wrong(source, 'each entry of "plugins" must be an object')
    capabilities = entry.get("capabilities", {})
    if not isinstance(capabilities, dict):
        raise _wrong(source, '"capabilities" must be an object')
    enabled = frozenset(name for name, wanted in capabilities.items() if wanted is True)
    return PluginConfig(type=_text(entry, "type", source), capabilities=enabled, fields=entry)


def _text(document: Mapping[str, object], key: str, source: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise _wrong(source, f'"{key}" must be a non-empty string')
    return value


def _flag(value: object) -> bool:
    """Read a boolean as libcni does: some configurations carry it as text."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _wrong(source: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"{source} is not a network configuration list: {what}")
