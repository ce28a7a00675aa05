"""Operations on the add-ons of a cluster."""

import json
from dataclasses import dataclass, replace

from vpc_cni.addons import errors, names, rules, states
from vpc_cni.addons.api.members import Members
from vpc_cni.addons.api.paging import read_paging
from vpc_cni.addons.api.service import Call, Json
from vpc_cni.addons.api.shapes import addon_shape, update_shape
from vpc_cni.addons.configuration import check_values, check_version_runs
from vpc_cni.addons.model import (
    AddonRecord,
    AddonStatus,
    Association,
    ClusterRecord,
    ConflictMode,
    Operation,
    OperationKind,
    UpdateRecord,
    UpdateStatus,
)
from vpc_cni.addons.rules import InputError, PodIdentity
from vpc_cni.addons.store import AddonBusyError
from vpc_cni.manifests import AddonVersion, Profile, parse_addon_version, parse_kubernetes_version


@dataclass(frozen=True, slots=True)
class _Wish:
    """What CreateAddon and UpdateAddon have in common, checked as far as no record is needed."""

    version: str | None
    role_arn: str | None
    values: str | None
    mode: ConflictMode
    identities: tuple[PodIdentity, ...] | None


def create_addon(call: Call) -> Json:
    """Write a new add-on, CREATING, and the work to make it."""
    service = call.service
    cluster = service.store.clusters.get(rules.check_cluster_name(call.cluster))
    name = call.body.required("addonName")
    if name != service.addon.name:
        raise errors.addon_not_supported()
    _check_namespace(call)
    wish = _read_wish(call)
    version = rules.choose_version(service.catalogue, parse_kubernetes_version(cluster.version), wish.version)
    _check_deployable(call, cluster, version, wish.values)
    rules.check_pod_identities(service.addon, version, wish.identities or ())
    record = AddonRecord(
        cluster=cluster.name,
        name=name,
        uid=names.resource_uid(service.random(16)),
        version=str(version),
        status=AddonStatus.CREATING,
        created_at=call.now,
        modified_at=service.clock(),
        role_arn=wish.role_arn,
        configuration_values=wish.values,
        tags=rules.check_tags(call.body.text_map("tags") or {}),
    )
    associations = _associations(call, record, wish.identities or (), ())
    record = replace(record, associations=tuple(each.id for each in associations))
    operation = _operation(call, record, OperationKind.CREATE, mode=wish.mode)
    return call.accept(
        {"addon": addon_shape(service.owner, record)},
        lambda token: service.store.requests.accept_create(record, operation, associations, token),
    )


def describe_addon(call: Call) -> Json:
    record = call.service.store.addons.get(call.cluster, call.labels["addonName"])
    return {"addon": addon_shape(call.service.owner, record)}


def list_addons(call: Call) -> Json:
    paging = read_paging(call.query, call.operation, call.cluster)
    page = call.service.store.addons.list_names(call.cluster, paging.after, paging.limit)
    return {"addons": list(page.items), "nextToken": paging.token(page.next)}


def update_addon(call: Call) -> Json:
    """Write what an add-on shall be from now on, an update that is in progress, and the work.

    What is left out keeps its value, but for the role: that is dropped.
    """
    service = call.service
    seen = service.store.addons.get(call.cluster, call.labels["addonName"])
    if not states.may_update(seen.status):
        raise errors.addon_not_updatable(seen.name, seen.status)
    cluster = service.store.clusters.get(call.cluster)
    wish = _read_wish(call)
    version = _choose_update(call, cluster, seen, wish.version)
    _check_deployable(call, cluster, version, seen.configuration_values if wish.values is None else wish.values)
    rules.check_pod_identities(service.addon, version, wish.identities or ())
    wished = replace(
        seen,
        version=str(version),
        role_arn=wish.role_arn,
        configuration_values=seen.configuration_values if wish.values is None else wish.values,
        status=AddonStatus.UPDATING,
        modified_at=call.now,
    )
    associations = None if wish.identities is None else _replaced_associations(call, seen, wish.identities)
    update = UpdateRecord(
        id=names.update_id(seen.cluster, seen.name, call.token_text, call.now),
        cluster=seen.cluster,
        addon=seen.name,
        type="AddonUpdate",
        status=UpdateStatus.IN_PROGRESS,
        created_at=call.now,
        params=_params(call.body, wish),
    )
    operation = _operation(call, wished, OperationKind.UPDATE, previous=seen, update_id=update.id, mode=wish.mode)
    return call.accept(
        {"update": update_shape(update)},
        lambda token: service.store.requests.accept_update(
            seen, wished, update, operation, associations=associations, token=token
        ),
    )


def delete_addon(call: Call) -> Json:
    """Make an add-on DELETING, and write the work; answered again while the same deletion is under way."""
    service, preserve = call.service, call.query.flag("preserve")
    seen = service.store.addons.get(call.cluster, call.labels["addonName"])
    operation = _operation(call, seen, OperationKind.DELETE, previous=seen, preserve=preserve)
    try:
        record = service.store.requests.accept_delete(operation)
    except AddonBusyError as busy:
        raise errors.addon_not_deletable(busy.addon, busy.status) from busy
    return {"addon": addon_shape(service.owner, record)}


def _read_wish(call: Call) -> _Wish:
    body, owner = call.body, call.service.owner
    role = body.text("serviceAccountRoleArn")
    structures = body.structures("podIdentityAssociations")
    return _Wish(
        version=body.text("addonVersion"),
        role_arn=None if role is None else rules.check_role(role, owner),
        # An empty text says nothing: ``{}`` is what resets.
        values=body.text("configurationValues") or None,
        mode=rules.parse_mode(body.text("resolveConflicts")),
        identities=None if structures is None else tuple(_read_identity(call, each) for each in structures),
    )


def _read_identity(call: Call, members: Members) -> PodIdentity:
    role = rules.check_role(members.required("roleArn", minimum=0), call.service.owner)
    return PodIdentity(members.required("serviceAccount"), role)


def _check_namespace(call: Call) -> None:
    config = call.body.inner("namespaceConfig")
    if config is None:
        return
    namespace = config.text("namespace")
    if namespace not in (None, call.service.addon.namespace):
        raise InputError(f"Addon {call.service.addon.name} is installed in namespace {call.service.addon.namespace}")


def _choose_update(call: Call, cluster: ClusterRecord, seen: AddonRecord, text: str | None) -> AddonVersion:
    """Return the version after an update: the present one stays, offered or not."""
    current = parse_addon_version(seen.version)
    if text in (None, seen.version):
        return current
    wished = rules.choose_version(call.service.catalogue, parse_kubernetes_version(cluster.version), text)
    if call.service.strict_minor_step:
        rules.check_minor_step(current, wished)
    return wished


def _check_deployable(call: Call, cluster: ClusterRecord, version: AddonVersion, values: str | None) -> None:
    """Refuse what could not be rendered: the stored values too, when they meet another version."""
    profile = _profile(call, version)
    images = call.service.images.plan(profile, call.service.owner.region)
    check_version_runs(profile, images, cluster.network.family)
    if values is not None:
        check_values(values, profile, images, cluster.network.family)


def _profile(call: Call, version: AddonVersion) -> Profile:
    if version not in call.service.catalogue.deployable:
        raise errors.version_not_supported()
    return call.service.catalogue.find(version)


def _replaced_associations(call: Call, seen: AddonRecord, wished: tuple[PodIdentity, ...]) -> tuple[Association, ...]:
    """Return what the add-on shall own: who keeps its service account keeps its id."""
    store = call.service.store.associations
    owned = tuple(store.get(seen.cluster, each) for each in seen.associations)
    return _associations(call, seen, wished, owned)


def _associations(
    call: Call, record: AddonRecord, wished: tuple[PodIdentity, ...], owned: tuple[Association, ...]
) -> tuple[Association, ...]:
    by_account = {each.service_account: each for each in owned}
    service = call.service
    made = []
    for wish in wished:
        known = by_account.get(wish.service_account)
        made.append(
            Association(
                id=known.id if known else names.association_id(service.random(16)),
                cluster=record.cluster,
                namespace=service.addon.namespace,
                service_account=wish.service_account,
                role_arn=wish.role_arn,
                created_at=known.created_at if known else call.now,
                modified_at=call.now,
                owner=names.addon_arn(service.owner, record.cluster, record.name, record.uid),
                tags=known.tags if known else {},
            )
        )
    return tuple(made)


def _params(body: Members, wish: _Wish) -> tuple[tuple[str, str], ...]:
    """Return what was given, in the order of the real service."""
    listed = None if wish.identities is None else _list_identities(wish.identities)
    pairs = (
        ("AddonVersion", wish.version),
        ("ServiceAccountRoleArn", wish.role_arn),
        ("ResolveConflicts", None if body.text("resolveConflicts") is None else wish.mode.value),
        ("ConfigurationValues", wish.values),
        ("PodIdentityAssociations", listed),
    )
    return tuple((type_, value) for type_, value in pairs if value is not None)


def _list_identities(identities: tuple[PodIdentity, ...]) -> str:
    pairs = [{"serviceAccount": each.service_account, "roleArn": each.role_arn} for each in identities]
    return json.dumps(pairs, separators=(",", ":"))


def _operation(
    call: Call,
    record: AddonRecord,
    kind: OperationKind,
    *,
    previous: AddonRecord | None = None,
    update_id: str = "",
    mode: ConflictMode = ConflictMode.NONE,
    preserve: bool = False,
) -> Operation:
    return Operation(
        id=names.resource_uid(call.service.random(16)),
        cluster=record.cluster,
        addon=record.name,
        kind=kind,
        version=record.version,
        created_at=call.now,
        previous_version=previous.version if previous else "",
        role_arn=record.role_arn,
        configuration_values=record.configuration_values,
        mode=mode,
        update_id=update_id,
        preserve=preserve,
    )
