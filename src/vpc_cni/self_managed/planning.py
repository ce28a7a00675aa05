"""What an update of an installation comes to: the objects to apply, what goes, what stays, and what changes. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vpc_cni.cluster.fields import find_field
from vpc_cni.cluster.installed import Installed, find_image_set, find_installed, plain_form
from vpc_cni.cluster.inventory import AGENT, Inventory, reference_of
from vpc_cni.cluster.removals import find_removals
from vpc_cni.cluster.repairs import Repair, find_repairs
from vpc_cni.cluster.spelling import spell_as_live
from vpc_cni.errors import CallerError, ConfigurationError, RefusedError, UnknownTypeError
from vpc_cni.manifests import (
    AddonVersion,
    Catalogue,
    Change,
    ChangeKind,
    Configuration,
    ImageSet,
    KubernetesVersion,
    Manifest,
    ObjectName,
    Profile,
    Registry,
    RenderOptions,
    find_changes,
    find_region,
    known_regions,
    name_of,
    plan_images,
    render,
    strip_server_fields,
)
from vpc_cni.self_managed.carrying import Carried, lay_references, take_over
from vpc_cni.self_managed.detection import AddonType, Detection
from vpc_cni.self_managed.kept import Setting, find_settings

_AGENT_REPOSITORY = "amazon-k8s-cni"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator asked for; None and empty: as the live installation has it.

    ``configuration`` and ``env`` win over what is taken over. ``notes`` are lines about the version on this cluster.
    """

    profile: Profile
    image_set: ImageSet | None = None
    registry: Registry | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    configuration: Configuration = field(default_factory=Configuration)
    env: Mapping[str, str] = field(default_factory=dict)
    role_arn: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """One object of the plan: ``is_new``, or changed in ``changes``, or as wanted already when that is empty."""

    name: ObjectName
    is_new: bool
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """An update.

    Attributes:
        target: objects in the order to apply them.
        changes: of the DaemonSet without its removals.
        removals: paths of what goes from the DaemonSet, since the old version made it and the new one lacks it.
        left: objects of the add-on that the new version has not; they stay.
        repairs: variables over which the API server refuses every apply until they are mended.
        base: the installation as its version makes it without settings.
        carried: settings that were taken over.
        settings: all that differs from the live version's plain form, and whether it stays as it is.
    """

    profile: Profile
    image_set: ImageSet
    target: tuple[Manifest, ...]
    changes: tuple[ObjectChange, ...]
    removals: tuple[str, ...]
    left: tuple[ObjectName, ...]
    repairs: tuple[Repair, ...]
    base: Inventory
    carried: Carried
    settings: tuple[Setting, ...]
    notes: tuple[str, ...]


def refuse_unless_self_managed(detection: Detection, *, even_if_managed: bool) -> None:
    """Refuse changes to what is not known to be self-managed.

    Raises:
        UnknownTypeError, RefusedError: see the messages.
    """
    if detection.type is AddonType.UNKNOWN:
        raise UnknownTypeError(f"who manages the add-on is not known: {detection.reason}", hint=detection.hint)
    if detection.type is AddonType.MANAGED and not even_if_managed:
        raise RefusedError(
            f"the add-on is managed by EKS: {detection.reason}",
            hint="update it through EKS; --even-if-managed changes objects that EKS may change back",
        )


def find_target(
    catalogue: Catalogue, version: AddonVersion | None, kubernetes: KubernetesVersion, live: Inventory
) -> tuple[Profile, tuple[str, ...]]:
    """Return the profile of a version for a cluster, and notes about the two.

    None: what an installation gets when nobody names a version, or what runs where that is newer, for nobody goes back
    to an older release unasked.

    Raises:
        RefusedError: it does not run there.
        CallerError: the catalogue has no such version.
    """
    try:
        profile = catalogue.default_profile(kubernetes) if version is None else catalogue.find(version, kubernetes)
        running = find_installed(live.daemon_set or {}).version
        if version is None and running is not None and running.release > profile.version.release:
            profile = catalogue.find(running, kubernetes)
        return profile, catalogue.check(profile, kubernetes)
    except ConfigurationError as err:
        raise RefusedError(err.message, hint=err.hint) from err


def plan_update(live: Inventory, wish: Wish, catalogue: Catalogue) -> UpdatePlan:
    """Return the update of a live installation, or its first installation where nothing is live.

    Raises:
        ConfigurationError: settings that the new version cannot have, or that this project has not built.
        CallerError: where images come from cannot be told.
    """
    installed = find_installed(live.daemon_set or {})
    image_set = wish.image_set or find_image_set(live)
    registry = wish.registry or _live_registry(installed, image_set)
    base, notes = plain_form(live, catalogue, wish.profile)
    carried = take_over(live, base)
    images = plan_images(wish.profile, image_set, registry, wish.digests)
    options = RenderOptions(
        images=images,
        configuration=_merge(carried.configuration, wish.configuration),
        env={**carried.env, **wish.configuration.env, **wish.env},
        role_arn=wish.role_arn or carried.role_arn,
        ip_family=carried.ip_family,
    )
    rendered = render(wish.profile, options)
    literal = {*wish.env, *wish.configuration.env}
    target = tuple(_as_live(_finish(each, carried, literal), live) for each in rendered.objects)
    changes = tuple(_change_of(each, live, base) for each in target)
    removals = _removals(live, base, target)
    return UpdatePlan(
        profile=wish.profile,
        image_set=image_set,
        target=target,
        changes=changes,
        removals=removals,
        left=_left(live, target),
        repairs=_repairs(live, target),
        base=base,
        carried=carried,
        settings=find_settings(live, base, ((each.name, one) for each in changes for one in each.changes), removals),
        notes=(*wish.notes, *notes, *_missing_notes(carried), *rendered.notes),
    )


def _live_registry(installed: Installed, image_set: ImageSet) -> Registry:
    image = installed.image
    if image is None or not image.registry or not image.repository.endswith(_AGENT_REPOSITORY):
        raise CallerError("where images come from is not known", hint="give --registry")
    registry = Registry(image.registry, image.repository.removesuffix(_AGENT_REPOSITORY).rstrip("/"))
    if image_set is ImageSet.OWN and registry in {find_region(name).registry for name in known_regions()}:
        raise CallerError(
            f"this project's images are not in {registry}",
            hint="give --registry with the registry that you copied them to",
        )
    return registry


def _merge(carried: Configuration, wish: Configuration) -> Configuration:
    """Lay the operator's values over those taken over; variables of ``aws-node`` travel apart from both."""
    return replace(
        carried,
        env={},
        init_env={**carried.init_env, **wish.init_env},
        config_map={**carried.config_map, **wish.config_map},
        node_agent_args={**carried.node_agent_args, **wish.node_agent_args},
        eni_configs=wish.eni_configs,
        affinity=carried.affinity if wish.affinity is None else wish.affinity,
        tolerations=carried.tolerations if wish.tolerations is None else wish.tolerations,
        resources=carried.resources if wish.resources is None else wish.resources,
        liveness_timeout_seconds=wish.liveness_timeout_seconds or carried.liveness_timeout_seconds,
        readiness_timeout_seconds=wish.readiness_timeout_seconds or carried.readiness_timeout_seconds,
    )


def _finish(manifest: Manifest, carried: Carried, literal: set[str]) -> Manifest:
    """Lay variables with ``valueFrom`` over the DaemonSet, except those that the operator gave a value."""
    if manifest["kind"] != "DaemonSet":
        return manifest
    kept = {
        container: tuple(each for each in entries if container != AGENT or each["name"] not in literal)
        for container, entries in carried.references.items()
    }
    return lay_references(manifest, kept)


def _as_live(manifest: Manifest, live: Inventory) -> Manifest:
    before = live.find(reference_of(manifest))
    return manifest if before is None else spell_as_live(manifest, before)


def _change_of(manifest: Manifest, live: Inventory, base: Inventory) -> ObjectChange:
    before = live.find(reference_of(manifest))
    if before is None:
        return ObjectChange(name_of(manifest), True, ())
    changes = find_changes(strip_server_fields(before), manifest, declared_only=True)
    removed: tuple[Change, ...] = ()
    if manifest["kind"] != "DaemonSet":
        paths = find_removals(before, base.find(reference_of(manifest)), manifest)
        removed = tuple(Change(path, ChangeKind.REMOVED, find_field(before, path)) for path in paths)
    return ObjectChange(name_of(manifest), False, (*changes, *removed))


def _repairs(live: Inventory, target: tuple[Manifest, ...]) -> tuple[Repair, ...]:
    before, wanted = live.daemon_set, Inventory(target).daemon_set
    return find_repairs(before, wanted) if before and wanted else ()


def _missing_notes(carried: Carried) -> tuple[str, ...]:
    return tuple(
        f"container {container} had no {name}, which its version sets: the new version's default applies"
        for container, name in carried.missing
    )


def _left(live: Inventory, target: tuple[Manifest, ...]) -> tuple[ObjectName, ...]:
    named = {reference_of(each) for each in target}
    found = (each for each in live.objects if each["kind"] != "ENIConfig" and reference_of(each) not in named)
    return tuple(name_of(each) for each in found)


def _removals(live: Inventory, base: Inventory, target: tuple[Manifest, ...]) -> tuple[str, ...]:
    before, wanted = live.daemon_set, Inventory(target).daemon_set
    return find_removals(before, base.daemon_set, wanted) if before and wanted else ()
