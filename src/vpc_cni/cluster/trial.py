"""Asking an API server what an apply would come to. Changes nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from vpc_cni.cluster.applying import ApplyPlan, Mode, ObjectPlan, find_rewrites, plan_object
from vpc_cni.cluster.inventory import ADDON_OBJECTS, ENI_CONFIGS, Reference, Resource, reference_of
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
    if live is not None and any(find_rewrites(live, wanted)):
        return Trial(live, plan_object(live, wanted, None, api.field_manager))
    merged, refusal = _dry_run(api, wanted, live)
    return Trial(live, plan_object(live, wanted, merged, api.field_manager), refusal)


def try_mode(api: Api, trial: Trial, mode: Mode) -> Trial:
    """Return the same with the refusal of what would be applied in a mode, where that is another manifest."""
    manifest = trial.plan.manifest(mode)
    if trial.live is None or manifest == trial.plan.wanted or any(find_rewrites(trial.live, manifest)):
        return trial
    return Trial(trial.live, trial.plan, _dry_run(api, manifest, trial.live)[1])


def plan_apply(api: Api, trials: Iterable[Trial], *, removing: bool) -> ApplyPlan:
    """Return the plan for all objects.

    Args:
        removing: delete those of ours that are no longer wanted, as an update does.
    """
    objects = tuple(each.plan for each in trials)
    if not removing:
        return ApplyPlan(objects)
    kept = {reference_of(each.wanted) for each in objects}
    mine = (each for each in list_applied(api) if reference_of(each) not in kept)
    return ApplyPlan(objects, tuple(name_of(each) for each in mine))


def list_applied(api: Api) -> tuple[Manifest, ...]:
    """Return the live objects of the add-on that our manager has applied, in the order to delete them."""
    found = (api.get(each) for each in reversed(ADDON_OBJECTS))
    live = [each for each in found if each is not None]
    # Definitions are the first to apply, so the last to delete: custom resources go before them.
    definitions = [each for each in live if each["kind"] == "CustomResourceDefinition"]
    others = [each for each in live if each["kind"] != "CustomResourceDefinition"]
    return tuple(
        each for each in (*others, *api.list(ENI_CONFIGS), *definitions) if is_applied_by(each, api.field_manager)
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
