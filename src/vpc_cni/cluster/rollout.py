"""How far a roll-out of the DaemonSet is, from the DaemonSet and its pods. Pure.

Source: Kubernetes API reference, DaemonSetStatus; what ``kubectl rollout status`` looks at, and pods that cannot start.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vpc_cni.manifests import Manifest

# Reasons for which a container waits that do not go away while nobody acts.
_TROUBLE = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)


@dataclass(frozen=True, slots=True)
class Progress:
    """Nodes by how far their pod is. ``observed``: the controller has seen the latest change."""

    observed: bool
    desired: int
    updated: int
    available: int
    unavailable: int

    @property
    def is_done(self) -> bool:
        return self.observed and self.updated == self.desired == self.available and self.unavailable == 0

    def __str__(self) -> str:
        if not self.observed:
            return "the change has not been seen by the DaemonSet controller yet"
        return f"{self.updated} of {self.desired} pods updated, {self.available} available"


def judge_rollout(daemon_set: Manifest) -> Progress:
    """Return how far the roll-out of a live DaemonSet is."""
    status = daemon_set.get("status", {})
    return Progress(
        observed=status.get("observedGeneration", 0) >= daemon_set.get("metadata", {}).get("generation", 0),
        desired=status.get("desiredNumberScheduled", 0),
        updated=status.get("updatedNumberScheduled", 0),
        available=status.get("numberAvailable", 0),
        unavailable=status.get("numberUnavailable", 0),
    )


def find_troubles(pods: Iterable[Manifest]) -> tuple[str, ...]:
    """Return a line for each container that cannot start, in the order of the pods."""
    return tuple(line for pod in pods for line in _troubles_of(pod))


def _troubles_of(pod: Manifest) -> Iterator[str]:
    name, status = pod.get("metadata", {}).get("name", ""), pod.get("status", {})
    for state in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = state.get("state", {}).get("waiting", {})
        if waiting.get("reason") in _TROUBLE:
            said = f": {waiting['message']}" if waiting.get("message") else ""
            yield f"pod {name}, container {state.get('name', '')}: {waiting['reason']}{said}"
