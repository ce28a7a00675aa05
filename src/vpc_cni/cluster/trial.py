"""Asking an API server what an apply would come to. Changes nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from vpc_cni.cluster.applying import ApplyPlan, Mode, ObjectPlan, find_rewrites, plan_object
from vpc_cni.cluster.inventory import ADDON_OBJECTS, DEFINITIONS, ENI_CONFIGS, Reference, Resource, reference_of
from vpc_cni.cluster.owners import is_applied_by
from vpc_cni.errors import KubernetesError, KubernetesNotFoundError
from vpc_cni.manifests import Manifest, name_of

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

    What it says to an object that must be rewritten first, or of a kind that it does not serve yet, is not known.
    """

    live: Manifest | None
    plan: ObjectPlan
    refusal: KubernetesError | None = None


def try_objects(api: Api, wanted: Iterable[Manifest]) -> tuple[Trial, ...]:
    """Return what an apply of the objects would come to, in their order.

    Raises:
        KubernetesError: an object could not be read, or the failure says nothing about the object.
    """
    return tuple(try_object(api, each) for each in wanted)


def try_object(api: Api, wanted: Manifest) -> Trial:
    live = api.get(reference_of(wanted))
    if live is not None and is_going(live):
        raise KubernetesError(f"{reference_of(live)} is being deleted", retryable=True)
    if live is not None and any(find_rewrites(live, wanted, api.field_manager)):
        return Trial(live, plan_object(live, wanted, None, api.field_manager))
    merged, refusal = _dry_run(api, wanted, live)
    return Trial(live, plan_object(live, wanted, merged, api.field_manager), refusal)


def try_mode(api: Api, trial: Trial, mode: Mode) -> Trial:
    """Return the same with the refusal of what would be applied in a mode, where that is another manifest."""
    manifest, live = trial.plan.manifest(mode), trial.live
    if live is None or manifest == trial.plan.wanted or any(find_rewrites(live, manifest, api.field_manager)):
        return trial
    return Trial(live, trial.plan, _dry_run(api, manifest, live)[1])


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


def _dry_run(api: Api, manifest: Manifest, live: Manifest | None) -> tuple[Manifest | None, KubernetesError | None]:
    try:
        return api.apply(manifest, force=True, dry_run=True), None
    except KubernetesNotFoundError:
        # Of a kind whose definition is applied in the same change, or not served yet.
        if live is None:
            return None, None
        raise
    except KubernetesError as err:
        if _NO_DRY_RUN in err.said:
            return None, None
        if err.retryable:
            raise
        return None, err
