"""Carries out what was planned, object by object. Thin; every step may be repeated.

Objects are applied by force, since what may be forced was decided before, and with the ``resourceVersion`` they were
read with, so that an edit made in between is planned anew instead of being lost.
"""

from collections.abc import Callable

from vpc_cni.addons.engine.issues import conflict_issue, refusal_issue
from vpc_cni.addons.model import Issue
from vpc_cni.cluster.applying import ApplyPlan, Mode, Patch, plan_release, plan_rewrite
from vpc_cni.cluster.inventory import DEFINITIONS, ENI_CONFIGS, Reference, reference_of
from vpc_cni.cluster.trial import Api, Trial, is_going, list_applied, try_object
from vpc_cni.errors import KubernetesConflictError, KubernetesError
from vpc_cni.manifests import Manifest

_EDITS_IN_BETWEEN = 5
_DEFINITION = Reference(DEFINITIONS, "eniconfigs.crd.k8s.amazonaws.com")
_ESTABLISHED_SECONDS, _GONE_SECONDS, _LOOK_SECONDS = 10.0, 5.0, 0.1


def apply_trial(api: Api, trial: Trial, mode: Mode, *, creating: bool) -> Issue | None:
    """Apply one object as planned; None when that was done.

    Raises:
        KubernetesError: worth another try.
    """
    for _ in range(_EDITS_IN_BETWEEN):
        try:
            _write(api, trial, mode)
        except KubernetesConflictError:
            trial = try_object(api, trial.plan.wanted)
            plan = ApplyPlan((trial.plan,))
            if plan.is_refused(mode, creating=creating):
                return conflict_issue(plan)
        except KubernetesError as err:
            if err.retryable:
                raise
            return refusal_issue(err)
        else:
            return None
    raise KubernetesError(f"{trial.plan.name} is edited all the time", retryable=True)


def _write(api: Api, trial: Trial, mode: Mode) -> None:
    manifest, live = trial.plan.manifest(mode), trial.live
    if live is not None:
        live = _patched(api, live, plan_rewrite(live, manifest, api.field_manager))
        live = _patched(api, live, plan_release(live, api.field_manager))
        manifest = _guarded(manifest, live)
    api.apply(manifest, force=True)


def _patched(api: Api, live: Manifest, patch: Patch) -> Manifest:
    return api.patch_json(reference_of(live), patch) if patch else live


def _guarded(manifest: Manifest, live: Manifest) -> Manifest:
    version = live["metadata"]["resourceVersion"]
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}


def wait_until_served(api: Api, sleep: Callable[[float], None]) -> None:
    """Wait until the API server serves the definition of ENIConfigs, moments after it was applied.

    Raises:
        KubernetesError: not within ten seconds; worth another try.
    """
    for _ in range(_looks(_ESTABLISHED_SECONDS)):
        if _is_established(api.get(_DEFINITION)):
            return
        sleep(_LOOK_SECONDS)
    raise KubernetesError(f"{_DEFINITION} is not established", retryable=True)


def _is_established(definition: Manifest | None) -> bool:
    conditions = (definition or {}).get("status", {}).get("conditions") or ()
    return any((each.get("type"), each.get("status")) == ("Established", "True") for each in conditions)


def delete_applied(
    api: Api, sleep: Callable[[float], None], *, keep: frozenset[Reference] = frozenset()
) -> Issue | None:
    """Delete our objects except those to keep: pods before what they need, definitions last. Return when they are gone.

    A definition stays while custom resources of others are in it, which would go with it.

    Raises:
        KubernetesError: worth another try; one is an object that someone's finalizer keeps for longer than a moment.
    """
    left: tuple[Reference, ...] = ()
    try:
        for _ in range(_looks(_GONE_SECONDS)):
            left = _delete_once(api, keep)
            if not left:
                return None
            sleep(_LOOK_SECONDS)
    except KubernetesError as err:
        if err.retryable:
            raise
        return refusal_issue(err)
    raise KubernetesError(f"still being deleted: {', '.join(map(str, left))}", retryable=True)


def _delete_once(api: Api, keep: frozenset[Reference]) -> tuple[Reference, ...]:
    """Delete what is left and not going yet; return what was left."""
    left: list[Reference] = []
    for each in list_applied(api, keep):
        reference = reference_of(each)
        if reference == _DEFINITION and api.list(ENI_CONFIGS):
            continue
        left.append(reference)
        if not is_going(each):
            api.delete(reference)
    return tuple(left)


def _looks(seconds: float) -> int:
    return round(seconds / _LOOK_SECONDS)
