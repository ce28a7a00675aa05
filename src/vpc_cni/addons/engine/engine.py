"""The engine: installs, removes and observes one add-on in one cluster."""

import time
from collections.abc import Callable

from vpc_cni.addons.engine.target import render_desired
from vpc_cni.addons.model import Applied, ConflictMode, Desired, Health
from vpc_cni.cluster.inventory import ADDON_OBJECTS, AGENT, DAEMON_SETS, Reference
from vpc_cni.cluster.rollout import judge_rollout
from vpc_cni.cluster.trial import Api
from vpc_cni.manifests import Catalogue, Images, Profile


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
                PRESERVE means NONE.

        Raises:
            KubernetesUnreachableError, KubernetesThrottledError: worth another try; so is a KubernetesError that says
                so. All that the API server refuses for good comes out as issues.
            ConfigurationError, CallerError: what is desired cannot be rendered (any more).
        """
        for each in render_desired(desired, self._catalogue, self._images):
            cluster.apply(each, force=mode is ConflictMode.OVERWRITE)
        del previous_version
        return Applied()

    def remove(self, cluster: Api, version: str, *, preserve: bool) -> Applied:  # noqa: ARG002 # the cluster says what is ours
        """Delete the add-on's objects that are ours, in a safe order; with ``preserve`` nothing is touched."""
        if not preserve:
            for each in reversed(ADDON_OBJECTS):
                cluster.delete(each)
        return Applied(changed=not preserve)

    def observe(self, cluster: Api, desired: Desired) -> Health:
        """Look once at how the add-on is: roll-out, and what is missing."""
        del desired
        live = cluster.get(Reference(DAEMON_SETS, AGENT))
        return Health(ready=live is not None and judge_rollout(live).is_done)
