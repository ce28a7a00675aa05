"""Deletes what is ours, and says as issues what stood in the way of applies and deletions. Thin; may be repeated."""

from collections.abc import Callable
from contextlib import suppress

from vpc_cni.addons.engine.issues import conflict_issue, refusal_issue
from vpc_cni.addons.model import Issue
from vpc_cni.cluster.applying import Mode
from vpc_cni.cluster.inventory import ENI_CONFIGS, Reference, reference_of
from vpc_cni.cluster.trial import Api, Trial, is_going, list_applied
from vpc_cni.cluster.writing import ENI_CONFIG_DEFINITION, LOOK_SECONDS, apply_trials
from vpc_cni.errors import KubernetesConflictError, KubernetesError

_GONE_SECONDS = 5.0


def apply_all(
    api: Api, trials: tuple[Trial, ...], mode: Mode, sleep: Callable[[float], None], *, creating: bool
) -> Issue | None:
    """Apply all objects as planned; None when that was done.

    Raises:
        KubernetesError: worth another try.
    """
    try:
        refused = apply_trials(api, trials, mode, lambda plan: plan.is_refused(mode, creating=creating), sleep=sleep)
    except KubernetesError as err:
        if err.retryable:
            raise
        return refusal_issue(err)
    return conflict_issue(refused) if refused else None


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
        for _ in range(round(_GONE_SECONDS / LOOK_SECONDS)):
            left = _delete_once(api, keep)
            if not left:
                return None
            sleep(LOOK_SECONDS)
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
        if reference == ENI_CONFIG_DEFINITION and api.list(ENI_CONFIGS):
            continue
        left.append(reference)
        if not is_going(each):
            # Somebody writes to it at this moment: it is looked at again.
            with suppress(KubernetesConflictError):
                api.delete(reference)
    return tuple(left)
