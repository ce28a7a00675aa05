"""Asking an API server what an apply would come to. Changes nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from vpc_cni.cluster.applying import ApplyPlan, Mode, ObjectPlan
from vpc_cni.cluster.inventory import (
    ADDON_OBJECTS,
    DEFINITIONS,
    ENI_CONFIGS,
    Inventory,
    Reference,
    Resource,
    reference_of,
)
from vpc_cni.cluster.owners import find_updates, is_applied_by
from vpc_cni.cluster.planning import plan_object
from vpc_cni.cluster.removals import find_removals
from vpc_cni.cluster.rewriting import plan_rewrite
from vpc_cni.errors import KubernetesConflictError, KubernetesError, KubernetesNotFoundError
from vpc_cni.manifests import Manifest, name_of

# How often an object is read again when somebody edits it meanwhile.
_EDITS_IN_BETWEEN = 5
_NO_DRY_RUN = "does not support dry run"


class Api(Protocol):
    """What is needed of a cluster; :class:`~vpc_cni.cluster.client.Cluster` is one.

    ``field_manager`` is as whom objects are applied. Every call raises KubernetesError when it fails.
    """

    @property
    def field_manager(self) -> str: ...
    def get(self, reference: Reference) -> Manifest | None: ...
    def list(self, resource: Resource, labels: Mapping[str, str] | None = None) -> tuple[Manifest, ...]: ...
    def apply(self, manifest: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest: ...
    def patch_json(
        self, reference: Reference, operations: tuple[Mapping[str, Any], ...], *, dry_run: bool = False
    ) -> Manifest: ...
    def delete(self, reference: Reference) -> None: ...


@dataclass(frozen=True, slots=True)
class Trial:
    """One object as it is, what an apply would do to it, and why the API server would refuse that; None: it would not.

    What it says to an object of a kind that it does not serve yet is not known.

    Attributes:
        base: the object as the live version makes it without settings; None where that has no such object.
    """

    live: Manifest | None
    plan: ObjectPlan
    base: Manifest | None = None
    refusal: KubernetesError | None = None


def try_objects(api: Api, wanted: Iterable[Manifest], base: Inventory) -> tuple[Trial, ...]:
    """Return what an apply of the objects would come to, in their order.

    Args:
        base: the objects as the live version makes them without settings
            (:func:`~vpc_cni.cluster.installed.plain_form`).

    Raises:
        KubernetesError: an object could not be read, or the failure says nothing about the object.
    """
    return tuple(try_object(api, each, base.find(reference_of(each))) for each in wanted)


def try_object(api: Api, wanted: Manifest, base: Manifest | None) -> Trial:
    """Return the same of one object; ``base`` is None where the live version has no such object."""
    reference = reference_of(wanted)
    for _ in range(_EDITS_IN_BETWEEN):
        live = api.get(reference)
        if live is not None and is_going(live):
            raise KubernetesError(f"{reference} is being deleted", retryable=True)
        try:
            return _tried(api, live, wanted, base)
        except KubernetesConflictError:
            continue
    raise edited_all_the_time(reference)


def edited_all_the_time(reference: Reference) -> KubernetesError:
    return KubernetesError(f"{reference} is edited all the time", retryable=True)


def _tried(api: Api, live: Manifest | None, wanted: Manifest, base: Manifest | None) -> Trial:
    manager = api.field_manager
    removals = () if live is None else find_removals(live, base, wanted)
    merged, refusal = _dry_run(api, live, wanted, removals)
    if live is not None and find_updates(live, manager):
        # They are released before the real apply, which then drops more than this dry run did.
        merged = None
    return Trial(live, plan_object(live, wanted, merged, manager, removals), base, refusal)


def try_mode(api: Api, trial: Trial, mode: Mode) -> Trial:
    """Return the same with the refusal of what would be applied in a mode, where that is something else.

    Raises:
        KubernetesError: see :func:`try_objects`.
    """
    manifest, removals = trial.plan.manifest(mode), trial.plan.removals_in(mode)
    if trial.live is None or (manifest, removals) == (trial.plan.wanted, trial.plan.removals):
        return trial
    try:
        return replace(trial, refusal=_dry_run(api, trial.live, manifest, removals)[1])
    except KubernetesConflictError:
        # Edited since: it is judged anew when it is applied.
        return replace(trial, refusal=None)


def plan_apply(api: Api, trials: Iterable[Trial], *, removing: bool) -> ApplyPlan:
    """Return the plan for all objects.

    Args:
        removing: delete those of ours that are no longer wanted, as an update does.
    """
    objects = tuple(each.plan for each in trials)
    if not removing:
        return ApplyPlan(objects)
    kept = frozenset(reference_of(each.wanted) for each in objects)
    return ApplyPlan(objects, tuple(name_of(each) for each in list_applied(api, kept)))


def list_applied(api: Api, kept: frozenset[Reference] = frozenset()) -> tuple[Manifest, ...]:
    """Return the add-on's live objects that our manager has applied, but those kept, in the order to delete them."""
    asked = [each for each in reversed(ADDON_OBJECTS) if each not in kept]
    # Definitions are the first to apply, so the last to delete: custom resources go before them.
    others = [api.get(each) for each in asked if each.resource != DEFINITIONS]
    custom = [each for each in api.list(ENI_CONFIGS) if reference_of(each) not in kept]
    definitions = [api.get(each) for each in asked if each.resource == DEFINITIONS]
    return tuple(
        each for each in (*others, *custom, *definitions) if each is not None and is_applied_by(each, api.field_manager)
    )


def is_going(live: Manifest) -> bool:
    """Whether an object is being deleted: what is applied to it now goes with it."""
    return "deletionTimestamp" in live.get("metadata", {})


def _dry_run(
    api: Api, live: Manifest | None, manifest: Manifest, removals: tuple[str, ...]
) -> tuple[Manifest | None, KubernetesError | None]:
    """Return what an apply, with the rewrite before it, would come to, or why it would be refused; None: not known.

    Raises:
        KubernetesConflictError: the object was changed since it was read.
        KubernetesError: the failure says nothing about the object.
    """
    reference = reference_of(manifest)
    patch = () if live is None else plan_rewrite(live, manifest, api.field_manager, removals)
    try:
        if patch:
            return api.patch_json(reference, patch, dry_run=True), None
        return api.apply(manifest, force=True, dry_run=True), None
    except KubernetesConflictError:
        raise
    except KubernetesNotFoundError as err:
        # Of a kind whose definition is applied in the same change, or not served yet.
        return None, None if reference.resource == ENI_CONFIGS else err
    except KubernetesError as err:
        if _NO_DRY_RUN in err.said:
            return None, None
        if err.retryable:
            raise
        return None, err
