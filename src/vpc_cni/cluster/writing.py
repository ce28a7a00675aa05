"""Carries out what was planned, object by object. Thin; every step may be repeated.

Objects are applied by force, since what may be forced was decided before, and with the ``resourceVersion`` they were
read with, so that an edit made in between is planned anew instead of being lost. A new object is not applied by force:
who made it in the meantime is met as a conflict.
"""

from collections.abc import Callable, Iterable

from vpc_cni.cluster.applying import ApplyPlan, Mode
from vpc_cni.cluster.inventory import DEFINITIONS, ENI_CONFIGS, Reference, reference_of
from vpc_cni.cluster.rewriting import Patch, plan_release, plan_rewrite
from vpc_cni.cluster.trial import Api, Trial, edited_all_the_time, try_object
from vpc_cni.errors import KubernetesConflictError, KubernetesError, KubernetesNotFoundError
from vpc_cni.manifests import Manifest

ENI_CONFIG_DEFINITION = Reference(DEFINITIONS, "eniconfigs.crd.k8s.amazonaws.com")
LOOK_SECONDS = 0.1
_EDITS_IN_BETWEEN = 5
_ESTABLISHED_SECONDS = 10.0


def apply_trials(
    api: Api,
    trials: Iterable[Trial],
    mode: Mode,
    refuses: Callable[[ApplyPlan], bool],
    *,
    sleep: Callable[[float], None],
    report: Callable[[Manifest], None] = lambda _: None,
) -> ApplyPlan | None:
    """Apply all objects in order.

    Args:
        refuses: whether a plan must not be carried out; asked anew of an object that was edited in between.
        report: hears of each object that was applied.

    Returns:
        None when all were applied; else the plan of the one that was edited in between, so that it is refused now.

    Raises:
        KubernetesError: the API server refuses an object, or it is worth another try; those before it were applied.
    """
    is_served = False
    for each in trials:
        if reference_of(each.plan.wanted).resource == ENI_CONFIGS and not is_served:
            wait_until_served(api, each.plan.wanted, sleep)
            is_served = True
        refused = _apply_trial(api, each, mode, refuses, report)
        if refused is not None:
            return refused
    return None


def _apply_trial(
    api: Api,
    trial: Trial,
    mode: Mode,
    refuses: Callable[[ApplyPlan], bool],
    report: Callable[[Manifest], None],
) -> ApplyPlan | None:
    wanted = trial.plan.wanted
    for _ in range(_EDITS_IN_BETWEEN):
        try:
            report(_write(api, trial, mode))
        except (KubernetesConflictError, KubernetesNotFoundError) as err:
            if trial.live is None and isinstance(err, KubernetesNotFoundError):
                raise
            # Edited, made or deleted since it was read.
            trial = try_object(api, wanted, trial.base)
            plan = ApplyPlan((trial.plan,))
            if refuses(plan):
                return plan
        else:
            return None
    raise edited_all_the_time(reference_of(wanted))


def _write(api: Api, trial: Trial, mode: Mode) -> Manifest:
    manifest, live = trial.plan.manifest(mode), trial.live
    if live is None:
        return api.apply(manifest)
    live = _patched(api, live, plan_rewrite(live, manifest, api.field_manager, trial.plan.removals_in(mode)))
    live = _patched(api, live, plan_release(live, api.field_manager))
    return api.apply(_guarded(manifest, live), force=True)


def _patched(api: Api, live: Manifest, patch: Patch) -> Manifest:
    return api.patch_json(reference_of(live), patch) if patch else live


def _guarded(manifest: Manifest, live: Manifest) -> Manifest:
    version = live["metadata"]["resourceVersion"]
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}


def wait_until_served(api: Api, custom: Manifest, sleep: Callable[[float], None]) -> None:
    """Wait until the API server serves the definition of ENIConfigs, moments after it was applied.

    It says that a definition is established a little before it takes the first ``custom`` resource.

    Raises:
        KubernetesError: not within ten seconds; worth another try.
    """
    for _ in range(round(_ESTABLISHED_SECONDS / LOOK_SECONDS)):
        if _is_established(api.get(ENI_CONFIG_DEFINITION)) and _is_served(api, custom):
            return
        sleep(LOOK_SECONDS)
    raise KubernetesError(f"{ENI_CONFIG_DEFINITION} is not established", retryable=True)


def _is_established(definition: Manifest | None) -> bool:
    conditions = (definition or {}).get("status", {}).get("conditions") or ()
    return any((each.get("type"), each.get("status")) == ("Established", "True") for each in conditions)


def _is_served(api: Api, custom: Manifest) -> bool:
    try:
        api.apply(custom, force=True, dry_run=True)
    except KubernetesNotFoundError:
        return False
    except KubernetesError as err:
        # What is said to the object is said again when it is applied; a server that fails is worth another try.
        if err.retryable:
            raise
    return True
