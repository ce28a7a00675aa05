"""What the agent tells people by Events: the reasons, and what they are about. Pure.

The reason of a pod's Event is its ``Shortage``: a word of a fixed set, by which people and programs select
(``kubectl get events --field-selector reason=SubnetFull``). docs/kubernetes.md explains each.
"""

from vpc_cni.errors import AccessDeniedError, CapacityError, Shortage
from vpc_cni.kube import EventType, ObjectReference, Occurrence
from vpc_cni.model import PodIdentity

MISSING_PERMISSIONS = "MissingIAMPermissions"
"""Reason of the reference's Event about its own pod."""

# Not worth an Event: the runtime tries again within seconds, and the pod's network comes.
_UNTOLD = frozenset((Shortage.STOPPING,))
# Passes by itself, soon.
_NORMAL = frozenset((Shortage.COOLING,))


def pod_without_address(pod: PodIdentity, error: CapacityError) -> Occurrence | None:
    """Tell that a pod waits for an address or was refused one, and why; None when nobody needs to know."""
    if not pod.name or error.shortage in _UNTOLD:
        return None
    kind = EventType.NORMAL if error.shortage in _NORMAL else EventType.WARNING
    about = ObjectReference("Pod", pod.name, pod.namespace, pod.uid)
    return Occurrence(about, kind, str(error.shortage), str(error), "AssignAddress")


def missing_permission(about: ObjectReference, error: AccessDeniedError) -> Occurrence:
    """Tell, by the agent's own pod, that the role in use lacks a permission, or may not be used by this pod."""
    service = "sts" if error.operation.startswith("AssumeRole") else "ec2"
    return Occurrence(about, EventType.WARNING, MISSING_PERMISSIONS, str(error), f"{service}:{error.operation}")
