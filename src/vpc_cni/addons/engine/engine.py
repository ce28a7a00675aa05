"""The engine: installs, removes and observes one add-on in one cluster."""

import time
from collections.abc import Callable

from vpc_cni.addons.engine.carrying_out import apply_all, delete_applied
from vpc_cni.addons.engine.issues import NO_REPLICAS, conflict_issue, missing_issue, refusal_issue
from vpc_cni.addons.engine.target import render_desired
from vpc_cni.addons.model import Applied, ConflictMode, Desired, Health, Issue
from vpc_cni.cluster.applying import ApplyPlan, Mode
from vpc_cni.cluster.installed import plain_form
from vpc_cni.cluster.inventory import DAEMON_SET, Inventory, reference_of
from vpc_cni.cluster.rollout import judge_rollout
from vpc_cni.cluster.trial import Api, Trial, try_mode, try_objects
from vpc_cni.errors import KubernetesError
from vpc_cni.manifests import Catalogue, Images, Manifest, Profile, name_of, parse_addon_version


class AddonEngine:
    """Makes clusters what was asked for; holds no state of theirs, so any number of threads may share it.

    Every call may be repeated, also after a kill at any moment of it: the end is the same, and what an earlier try
    left is never a conflict.

    Args:
        images: which images a version runs, such as ``lambda profile: source.plan(profile, region)``.
        sleep: waits between two looks at a definition that the API server does not serve yet.
    """

    def __init__(
        self, catalogue: Catalogue, images: Callable[[Profile], Images], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._catalogue = catalogue
        self._images = images
        self._sleep = sleep

    def install(self, cluster: Api, desired: Desired, mode: ConflictMode, previous_version: str) -> Applied:
        """Apply the add-on's objects, then delete those of ours that it has no more.

        Args:
            cluster: whose ``field_manager`` is ``eks``.
            previous_version: what the cluster may still hold objects of; empty when the add-on is created, where
                PRESERVE means NONE and nothing is deleted.

        Raises:
            KubernetesError: worth another try, as it says. All that the API server refuses for good comes out as
                issues.
            ConfigurationError, CallerError: what is desired cannot be rendered (any more).
        """
        wanted = render_desired(desired, self._catalogue, self._images)
        chosen, creating = Mode(mode.value), not previous_version
        try:
            trials = try_objects(cluster, wanted, self._base(cluster, desired))
            issues = _obstacles(cluster, trials, chosen, creating=creating)
        except KubernetesError as err:
            if err.retryable:
                raise
            issues = (refusal_issue(err),)
        if issues:
            return Applied(issues)
        issue = apply_all(cluster, trials, chosen, self._sleep, creating=creating)
        if issue is None and not creating:
            issue = delete_applied(cluster, self._sleep, keep=frozenset(reference_of(each) for each in wanted))
        return Applied((issue,) if issue else ())

    def _base(self, cluster: Api, desired: Desired) -> Inventory:
        """Return what the live version makes without settings, whoever installed it."""
        profile, live = self._catalogue.find(parse_addon_version(desired.version)), cluster.get(DAEMON_SET)
        return plain_form(Inventory((live,) if live else ()), self._catalogue, profile)[0]

    def remove(self, cluster: Api, version: str, *, preserve: bool) -> Applied:  # noqa: ARG002 # the cluster says what is ours
        """Delete the add-on's objects that are ours, in a safe order; with ``preserve`` nothing is touched."""
        if preserve:
            return Applied()
        try:
            issue = delete_applied(cluster, self._sleep)
        except KubernetesError as err:
            if err.retryable:
                raise
            issue = refusal_issue(err)
        return Applied((issue,) if issue else ())

    def observe(self, cluster: Api, desired: Desired) -> Health:
        """Look once at how the add-on is: what is missing, and how far its roll-out is."""
        wanted = render_desired(desired, self._catalogue, self._images)
        try:
            found = tuple(cluster.get(reference_of(each)) for each in wanted)
        except KubernetesError as err:
            if err.retryable:
                raise
            return Health(ready=False, issues=(refusal_issue(err),))
        return _judge(wanted, Inventory(tuple(each for each in found if each is not None)))


def _obstacles(cluster: Api, trials: tuple[Trial, ...], mode: Mode, *, creating: bool) -> tuple[Issue, ...]:
    """Return why nothing is to be applied: all conflicts in one issue, else the first refusal of the API server."""
    plan = ApplyPlan(tuple(each.plan for each in trials))
    if plan.is_refused(mode, creating=creating):
        return (conflict_issue(plan),)
    tried = (try_mode(cluster, each, mode) for each in trials)
    return tuple(refusal_issue(each.refusal) for each in tried if each.refusal is not None)[:1]


def _judge(wanted: tuple[Manifest, ...], live: Inventory) -> Health:
    missing = tuple(name_of(each) for each in wanted if live.find(reference_of(each)) is None)
    if missing:
        return Health(ready=False, issues=(missing_issue(missing),))
    if live.daemon_set is None or not judge_rollout(live.daemon_set).is_done:
        return Health(ready=False, issues=(NO_REPLICAS,))
    return Health(ready=True)
