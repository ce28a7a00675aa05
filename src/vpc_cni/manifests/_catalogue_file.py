"""Reads the TOML of a catalogue into plain parts, and says where it is wrong. Pure."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.manifests.profile import PolicyRule, Profile
from vpc_cni.manifests.versions import (
    AddonVersion,
    KubernetesVersion,
    parse_addon_version,
    parse_kubernetes_version,
)

FORMAT = 1


@dataclass(frozen=True, slots=True)
class CatalogueParts:
    """What a file holds; restrictions and tables of newest versions as the arguments of their types."""

    valid_at: date
    sources: Mapping[str, str]
    profiles: tuple[Profile, ...]
    restrictions: tuple[tuple[AddonVersion, AddonVersion, KubernetesVersion, str, str], ...]
    newest: tuple[tuple[date, str, Mapping[KubernetesVersion, AddonVersion]], ...]


class _Table:
    """One table of the file, read by name; messages say which table. Fields that nobody asked for are errors."""

    def __init__(self, where: str, content: object) -> None:
        if not isinstance(content, dict):
            raise ConfigurationError(f"{where} is no table")
        self.where = where
        self._content: dict[str, Any] = content
        self._asked: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._content

    def take(self, name: str, kind: type | tuple[type, ...], what: str, default: object = None) -> Any:
        self._asked.add(name)
        value = self._content.get(name, default)
        if not isinstance(value, kind):
            raise ConfigurationError(f"{self.where}: {name} must be {what}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        return str(self.take(name, str, "a text", default))

    def texts(self, name: str) -> tuple[str, ...]:
        items = self.take(name, list, "a list of texts", [])
        if not all(isinstance(item, str) for item in items):
            raise ConfigurationError(f"{self.where}: {name} must be a list of texts")
        return tuple(items)

    def numbers(self, name: str) -> tuple[int, ...]:
        items = self.take(name, list, "a list of numbers", [])
        if not all(isinstance(item, int) and item > 0 for item in items):
            raise ConfigurationError(f"{self.where}: {name} must be a list of numbers from 1 on")
        return tuple(sorted(items))

    def day(self, name: str) -> date:
        value: date = self.take(name, date, "a date such as 2024-02-15")
        return value.date() if isinstance(value, datetime) else value

    def text_table(self, name: str) -> dict[str, str]:
        table = self.take(name, dict, "a table of texts", {})
        if not all(isinstance(value, str) for value in table.values()):
            raise ConfigurationError(f"{self.where}: {name} must be a table of texts")
        return dict(table)

    def tables(self, name: str) -> list["_Table"]:
        items = self.take(name, list, "a list of tables", [])
        return [_Table(f"{self.where}: {name} {number}", item) for number, item in enumerate(items, 1)]

    def addon_version(self, name: str) -> AddonVersion:
        return self.version_of(self.text(name))

    def kubernetes_version(self, name: str) -> KubernetesVersion:
        return self.kubernetes_of(self.text(name))

    def version_of(self, text: str) -> AddonVersion:
        try:
            return parse_addon_version(text)
        except CallerError as err:
            raise ConfigurationError(f"{self.where}: {err.message}") from err

    def kubernetes_of(self, text: str) -> KubernetesVersion:
        try:
            return parse_kubernetes_version(text)
        except CallerError as err:
            raise ConfigurationError(f"{self.where}: {err.message}") from err

    def finish(self) -> None:
        """Refuse fields that mean nothing: most likely typing mistakes."""
        unknown = sorted(set(self._content) - self._asked)
        if unknown:
            raise ConfigurationError(f"{self.where}: unknown field {', '.join(unknown)}")


def read_catalogue_file(text: str, origin: str) -> CatalogueParts:
    """Read a catalogue file.

    Raises:
        ConfigurationError: it is no TOML, of another format, or a field is missing, unknown or of the wrong kind.
    """
    try:
        root = _Table(origin, tomllib.loads(text))
    except tomllib.TOMLDecodeError as err:
        raise ConfigurationError(f"{origin} is no TOML: {err}") from err
    if root.take("format", int, "a number") != FORMAT:
        raise ConfigurationError(f"{origin}: this release reads catalogues of format {FORMAT}")
    parts = CatalogueParts(
        valid_at=root.day("valid_at"),
        sources=root.text_table("sources"),
        profiles=_read_profiles(root.tables("profile")),
        restrictions=tuple(map(_read_restriction, root.tables("restriction"))),
        newest=tuple(sorted(map(_read_newest, root.tables("newest")), key=lambda table: table[0])),
    )
    root.finish()
    if not parts.profiles:
        raise ConfigurationError(f"{origin}: a catalogue needs at least one profile")
    return parts


def _read_profiles(tables: list[_Table]) -> tuple[Profile, ...]:
    found: dict[AddonVersion, Profile] = {}
    for table in tables:
        base = found.get(table.addon_version("extends")) if "extends" in table else _NOTHING
        if base is None:
            raise ConfigurationError(f"{table.where}: extends a profile that does not stand before it")
        profile = _read_profile(table, base)
        if profile.version in found:
            raise ConfigurationError(f"{table.where}: a second profile of {profile.version}")
        found[profile.version] = profile
    return tuple(found.values())


def _read_profile(table: _Table, base: Profile) -> Profile:
    version = table.addon_version("release")
    if version.build:
        raise ConfigurationError(f"{table.where}: release is without a build; builds lists those")

    def texts(name: str, inherited: tuple[str, ...]) -> tuple[str, ...]:
        return table.texts(name) if name in table else inherited

    def merged(name: str, inherited: Mapping[str, str]) -> dict[str, str]:
        return {**inherited, **table.text_table(name)}

    profile = Profile(
        version=version,
        builds=table.numbers("builds"),
        newest_kubernetes=table.kubernetes_version("newest_kubernetes"),
        oldest_kubernetes=table.kubernetes_version("oldest_kubernetes") if "oldest_kubernetes" in table else None,
        cni_version=table.text("cni_version", base.cni_version or None),
        network_policy_agent=table.text("network_policy_agent", base.network_policy_agent),
        env=merged("env", base.env),
        downward_env=merged("downward_env", base.downward_env),
        init_env=merged("init_env", base.init_env),
        config_map=merged("config_map", base.config_map),
        node_agent_args=merged("node_agent_args", base.node_agent_args),
        rules=tuple(map(_read_rule, table.tables("rules"))) if "rules" in table else base.rules,
        properties=texts("properties", base.properties),
        configurable_env=texts("configurable_env", base.configurable_env),
        configurable_init_env=texts("configurable_init_env", base.configurable_init_env),
        changes=table.texts("changes"),
        sources=table.texts("sources"),
    )
    table.finish()
    return profile


# What a profile that extends no other starts from.
_NOTHING = Profile(
    version=AddonVersion(0, 0, 0),
    builds=(),
    newest_kubernetes=KubernetesVersion(0, 0),
    cni_version="",
    env={},
    downward_env={},
    init_env={},
    rules=(),
    properties=(),
    configurable_env=(),
    configurable_init_env=(),
    changes=(),
    sources=(),
)


def _read_rule(table: _Table) -> PolicyRule:
    rule = PolicyRule(table.texts("groups"), table.texts("resources"), table.texts("verbs"))
    table.finish()
    return rule


def _read_restriction(
    table: _Table,
) -> tuple[AddonVersion, AddonVersion, KubernetesVersion, str, str]:
    fields = (
        table.addon_version("first"),
        table.addon_version("last"),
        table.kubernetes_version("oldest_kubernetes"),
        table.text("reason"),
        table.text("source"),
    )
    table.finish()
    return fields


def _read_newest(table: _Table) -> tuple[date, str, Mapping[KubernetesVersion, AddonVersion]]:
    offered = table.take("versions", dict, "a table from add-on version to Kubernetes versions")
    versions = {
        table.kubernetes_of(str(kubernetes)): table.version_of(version)
        for version, clusters in offered.items()
        for kubernetes in clusters
    }
    fields = (table.day("day"), table.text("source"), versions)
    table.finish()
    return fields
