"""The steps that act on a cluster: read, apply, wait, restore. Thin: what to do was decided by pure modules."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from vpc_cni.cluster.applying import ApplyPlan, Mode, ObjectPlan
from vpc_cni.cluster.conflicts import Conflict, find_conflicts
from vpc_cni.cluster.fields import is_within
from vpc_cni.cluster.inventory import (
    ADDON_OBJECTS,
    AGENT,
    DAEMON_SET,
    ENI_CONFIGS,
    POD_SELECTOR,
    PODS,
    Inventory,
    reference_of,
)
from vpc_cni.cluster.rollout import Progress, find_troubles, judge_rollout
from vpc_cni.cluster.trial import Trial, try_objects
from vpc_cni.cluster.writing import apply_trials
from vpc_cni.errors import (
    FieldConflictError,
    KubernetesConflictError,
    KubernetesError,
    RefusedError,
    RolloutError,
    RolloutTimeoutError,
)
from vpc_cni.manifests import Manifest
from vpc_cni.self_managed.detection import Sighting
from vpc_cni.self_managed.planning import UpdatePlan
from vpc_cni.self_managed.restoring import Restoration, RestorePlan, plan_step
from vpc_cni.self_managed.verification import Check, Outcome, judge_probe

if TYPE_CHECKING:
    # At run time the caller brings it: without lightkube, what needs no cluster still works.
    from vpc_cni.cluster.client import Cluster

_POLL_SECONDS = 1.0
_REPLACE_TRIES = 20


class Clock(Protocol):
    """Monotonic seconds, and a way to let them pass."""

    def monotonic(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...


def see_daemon_set(cluster: "Cluster") -> Sighting:
    """Return what the API says of the DaemonSet; a failure is part of the answer."""
    try:
        return Sighting(cluster.get(DAEMON_SET))
    except KubernetesError as err:
        return Sighting(failure=err.message)


def read_installation(cluster: "Cluster") -> Inventory:
    """Return all objects of the add-on, in the order to apply them.

    Raises:
        KubernetesError: one of them could not be read; half an inventory would be worse than none.
    """
    found = [cluster.get(each) for each in ADDON_OBJECTS]
    return Inventory((*(each for each in found if each is not None), *cluster.list(ENI_CONFIGS)))


def list_agent_pods(cluster: "Cluster") -> tuple[Manifest, ...]:
    return cluster.list(PODS, POD_SELECTOR)


def try_update(cluster: "Cluster", plan: UpdatePlan) -> tuple[Trial, ...]:
    """Ask the API server what an update would come to, object by object in order; changes nothing.

    Raises:
        KubernetesError: the API server would refuse an object, conflicts aside.
    """
    trials = try_objects(cluster, plan.target, plan.base)
    for each in trials:
        if each.refusal is not None:
            raise each.refusal
    return trials


def conflicts_of(objects: Iterable[ObjectPlan], plan: UpdatePlan) -> tuple[Conflict, ...]:
    """Return which fields of others an update would change, without variables that cannot stay as they are. Pure."""
    mended = tuple(each.path for each in plan.repairs)
    return tuple(
        conflict
        for each in objects
        for conflict in find_conflicts(each)
        if not any(is_within(conflict.path, path) for path in mended)
    )


def apply_update(
    cluster: "Cluster",
    plan: UpdatePlan,
    trials: Iterable[Trial],
    clock: Clock,
    *,
    force: bool,
    report: Callable[[Manifest], None] = lambda _: None,
) -> None:
    """Apply all objects in order; ``report`` hears of each. Repeating it after a failure is harmless.

    Args:
        force: take over fields that others own.

    Raises:
        FieldConflictError: others have edited an object since it was tried; those before it were applied.
    """

    def refuses(anew: ApplyPlan) -> bool:
        return not force and bool(conflicts_of(anew.objects, plan))

    refused = apply_trials(cluster, trials, Mode.OVERWRITE, refuses, sleep=clock.sleep, report=report)
    if refused is not None:
        raise FieldConflictError(
            "\n  ".join(["others have edited fields that would change:", *refused.conflict_lines()]),
            hint="look at the difference again; objects before this one were applied",
        )


def wait_for_rollout(
    cluster: "Cluster", clock: Clock, deadline_seconds: float, report: Callable[[Progress], None]
) -> Progress:
    """Wait until every node runs the new version; ``report`` hears of each change.

    Raises:
        RolloutError: at the deadline, pods cannot start.
        RolloutTimeoutError: at the deadline, it still went on.
        RefusedError: the DaemonSet is gone.
    """
    deadline, last = clock.monotonic() + deadline_seconds, None
    while True:
        live = cluster.get(DAEMON_SET)
        if live is None:
            raise RefusedError(f"DaemonSet {AGENT} is gone")
        progress = judge_rollout(live)
        if progress != last:
            report(progress)
        if progress.is_done:
            return progress
        if clock.monotonic() >= deadline:
            _fail(cluster, progress, deadline_seconds)
        last = progress
        clock.sleep(_POLL_SECONDS)


def _fail(cluster: "Cluster", progress: Progress, deadline_seconds: float) -> None:
    troubles = find_troubles(list_agent_pods(cluster))
    said = f"the roll-out has not ended after {deadline_seconds:g} s: {progress}"
    if troubles:
        raise RolloutError("\n  ".join([said, *troubles]), hint="mend it, or restore the backup")
    raise RolloutTimeoutError(said, hint="it goes on: watch it with kubectl rollout status, or restore the backup")


def probe(cluster: "Cluster", clock: Clock, pod: Manifest, deadline_seconds: float) -> Check:
    """Start a pod, wait until it has an address, and delete it whatever came of it."""
    cluster.create(pod)
    reference, deadline = reference_of(pod), clock.monotonic() + deadline_seconds
    try:
        while True:
            live = cluster.get(reference)
            check = judge_probe(live)
            if check.outcome is Outcome.OK or live is None or clock.monotonic() >= deadline:
                return check
            clock.sleep(_POLL_SECONDS)
    finally:
        cluster.delete(reference)


def apply_restore(cluster: "Cluster", plan: RestorePlan) -> None:
    """Write every object that differs, in order.

    Raises:
        KubernetesConflictError: an object was changed since the plan was made; a status that changed is none.
    """
    for step in plan.steps:
        if step.is_new:
            cluster.create(step.manifest)
        elif step.changes:
            _replace(cluster, step)


def _replace(cluster: "Cluster", step: Restoration) -> None:
    # A DaemonSet's controller writes its status whenever a pod changes, most of all while somebody restores.
    for _ in range(_REPLACE_TRIES):
        try:
            cluster.replace(step.manifest)
        except KubernetesConflictError:
            live = cluster.get(reference_of(step.manifest))
            anew = plan_step(step.manifest, live)
            if anew.is_new or anew.changes != step.changes:
                raise
            step = anew
        else:
            return
    cluster.replace(step.manifest)
