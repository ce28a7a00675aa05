"""Reads the TOML of a catalogue into plain parts, and says where it is wrong. Pure."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from vpc_cni.errors import ConfigurationError
from vpc_cni.manifests._toml_table import Table
from vpc_cni.manifests.offers import Addon, Offer
from vpc_cni.manifests.profile import PolicyRule, Profile, Trait
from vpc_cni.manifests.versions import AddonVersion, KubernetesVersion

FORMAT = 1


@dataclass(frozen=True, slots=True)
class CatalogueParts:
    """What a file holds; restrictions and tables of newest versions as the arguments of their types."""

    valid_at: date
    default_release: AddonVersion | None
    sources: Mapping[str, str]
    profiles: tuple[Profile, ...]
    restrictions: tuple[tuple[AddonVersion, AddonVersion, KubernetesVersion, str, str], ...]
    newest: tuple[tuple[date, str, Mapping[KubernetesVersion, AddonVersion]], ...]
    addon: Addon | None
    offers: tuple[Offer, ...]
    changes: Mapping[AddonVersion, tuple[str, ...]]


def read_catalogue_file(text: str, origin: str) -> CatalogueParts:
    """Read a catalogue file.

    Raises:
        ConfigurationError: it is no TOML, of another format, or a field is missing, unknown or of the wrong kind.
    """
    try:
        root = Table(origin, tomllib.loads(text))
    except tomllib.TOMLDecodeError as err:
        raise ConfigurationError(f"{origin} is no TOML: {err}") from err
    if root.take("format", int, "a number") != FORMAT:
        raise ConfigurationError(f"{origin}: this release reads catalogues of format {FORMAT}")
    addon = _read_addon(root)
    parts = CatalogueParts(
        valid_at=root.day("valid_at"),
        default_release=root.addon_version("default_release") if "default_release" in root else None,
        sources=root.text_table("sources"),
        profiles=_read_profiles(root.tables("profile")),
        restrictions=tuple(map(_read_restriction, root.tables("restriction"))),
        newest=tuple(sorted(map(_read_newest, root.tables("newest")), key=lambda table: table[0])),
        addon=addon,
        offers=_read_offers(root.tables("offer"), addon),
        changes=_read_changes(root),
    )
    root.finish()
    if not parts.profiles:
        raise ConfigurationError(f"{origin}: a catalogue needs at least one profile")
    return parts


def _read_profiles(tables: list[Table]) -> tuple[Profile, ...]:
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


def _read_profile(table: Table, base: Profile) -> Profile:
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
        excluded_compute_types=texts("excluded_compute_types", base.excluded_compute_types),
        traits=_read_traits(table) if "traits" in table else base.traits,
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


def _read_rule(table: Table) -> PolicyRule:
    rule = PolicyRule(table.texts("groups"), table.texts("resources"), table.texts("verbs"), urls=table.texts("urls"))
    table.finish()
    if not rule.verbs or bool(rule.urls) == bool(rule.groups and rule.resources):
        raise ConfigurationError(f"{table.where}: a rule has verbs, and either groups and resources or urls")
    return rule


def _read_traits(table: Table) -> frozenset[Trait]:
    names = table.texts("traits")
    unknown = sorted(set(names) - set(Trait))
    if unknown:
        raise ConfigurationError(f"{table.where}: no such trait: {', '.join(unknown)}")
    return frozenset(map(Trait, names))


def _read_restriction(
    table: Table,
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


def _read_newest(table: Table) -> tuple[date, str, Mapping[KubernetesVersion, AddonVersion]]:
    offered = table.take("versions", dict, "a table from add-on version to Kubernetes versions")
    versions = {
        table.kubernetes_of(str(kubernetes)): table.version_of(version)
        for version, clusters in offered.items()
        for kubernetes in clusters
    }
    fields = (table.day("day"), table.text("source"), versions)
    table.finish()
    return fields


def _read_addon(root: Table) -> Addon | None:
    if "addon" not in root:
        return None
    table = root.table("addon")
    addon = Addon(
        name=table.text("name"),
        type=table.text("type"),
        owner=table.text("owner"),
        publisher=table.text("publisher"),
        namespace=table.text("namespace"),
        service_account=table.text("service_account"),
        managed_policies=table.texts("managed_policies"),
        cluster_env=table.texts("cluster_env"),
        pod_identity_since=table.addon_version("pod_identity_since"),
        architectures=table.some_texts("architectures"),
        compute_types=table.some_texts("compute_types"),
        platform_versions=table.some_texts("platform_versions"),
        requires_configuration=table.flag("requires_configuration"),
        requires_iam_permissions=table.flag("requires_iam_permissions"),
        sources=table.texts("sources"),
    )
    table.finish()
    return addon


def _read_offers(tables: list[Table], addon: Addon | None) -> tuple[Offer, ...]:
    if addon is None:
        if tables:
            raise ConfigurationError(f"{tables[0].where}: a catalogue with offers needs a table [addon]")
        return ()
    return tuple(offer for table in tables for offer in _read_offer(table, addon))


def _read_offer(table: Table, addon: Addon) -> tuple[Offer, ...]:
    versions = table.addon_versions("versions")
    if not versions or not all(version.build for version in versions):
        raise ConfigurationError(f"{table.where}: versions must be managed builds, such as v1.16.2-eksbuild.1")
    clusters = table.kubernetes_versions("kubernetes")
    if not clusters:
        raise ConfigurationError(f"{table.where}: kubernetes must name at least one version")
    first = Offer(
        version=versions[0],
        clusters=clusters,
        default_for=table.kubernetes_versions("default_for"),
        architectures=table.some_texts("architectures", addon.architectures),
        compute_types=table.some_texts("compute_types", addon.compute_types),
        platform_versions=table.some_texts("platform_versions", addon.platform_versions),
        requires_configuration=table.flag("requires_configuration", addon.requires_configuration),
        requires_iam_permissions=table.flag("requires_iam_permissions", addon.requires_iam_permissions),
        sources=table.texts("sources"),
    )
    table.finish()
    return tuple(replace(first, version=version) for version in versions)


def _read_changes(root: Table) -> dict[AddonVersion, tuple[str, ...]]:
    if "changes" not in root:
        return {}
    table = root.table("changes")
    changes = {table.version_of(name): table.some_texts(name) for name in table.names()}
    with_build = [version for version in changes if version.build]
    if with_build:
        raise ConfigurationError(f"{table.where}: {with_build[0]}: changes are those of a release, without a build")
    return changes
