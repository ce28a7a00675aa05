"""The states of an add-on: which requests each allows, and what the end of a piece of work makes of it. Pure.

Theory of operation. A request is accepted or refused by the status alone (``may_update``, ``may_delete``), in the same
transaction that writes what it leads to. Accepted, it puts the add-on into one of three states in which work is under
way. Work ends in one of three ways (``End``), and ``_AFTER`` says which status follows. Between pieces of work, health
looks move the add-on between ACTIVE and DEGRADED, and nowhere else: a failed update stays failed until somebody
updates or deletes, though what it lacks may be there by now.

Nothing is ever rolled back: after NOT_READY the cluster holds the new objects, and health looks take over.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vpc_cni.addons.model import AddonStatus, Issue, IssueCode, OperationKind, UpdateStatus

UNDER_WAY = frozenset({AddonStatus.CREATING, AddonStatus.UPDATING, AddonStatus.DELETING})
# Those whose health is looked at.
WATCHED = frozenset({AddonStatus.ACTIVE, AddonStatus.DEGRADED})

STARTED: Mapping[OperationKind, AddonStatus] = {
    OperationKind.CREATE: AddonStatus.CREATING,
    OperationKind.UPDATE: AddonStatus.UPDATING,
    OperationKind.DELETE: AddonStatus.DELETING,
}

# Codes that exist for health issues only; an update's errors say Unknown instead.
HEALTH_ONLY = frozenset(
    {IssueCode.ADDON_SUBSCRIPTION_NEEDED, IssueCode.ADDON_PERMISSION_FAILURE, IssueCode.INTERNAL_FAILURE}
)


class End(enum.Enum):
    """How a piece of work ended.

    DONE: the cluster is as asked for, pods included.
    NOT_READY: the objects are as asked for, the pods were not in time.
    REFUSED: something stands in the way; the objects are not as asked for.
    """

    DONE = enum.auto()
    NOT_READY = enum.auto()
    REFUSED = enum.auto()


@dataclass(frozen=True, slots=True)
class After:
    """What follows the end of work. ``addon`` None: the record goes away. ``update`` None: there was no update."""

    addon: AddonStatus | None
    update: UpdateStatus | None = None


_AFTER: Mapping[tuple[OperationKind, End], After] = {
    (OperationKind.CREATE, End.DONE): After(AddonStatus.ACTIVE),
    (OperationKind.CREATE, End.NOT_READY): After(AddonStatus.DEGRADED),
    (OperationKind.CREATE, End.REFUSED): After(AddonStatus.CREATE_FAILED),
    (OperationKind.UPDATE, End.DONE): After(AddonStatus.ACTIVE, UpdateStatus.SUCCESSFUL),
    (OperationKind.UPDATE, End.NOT_READY): After(AddonStatus.DEGRADED, UpdateStatus.FAILED),
    (OperationKind.UPDATE, End.REFUSED): After(AddonStatus.UPDATE_FAILED, UpdateStatus.FAILED),
    (OperationKind.DELETE, End.DONE): After(None),
    (OperationKind.DELETE, End.NOT_READY): After(AddonStatus.DELETE_FAILED),
    (OperationKind.DELETE, End.REFUSED): After(AddonStatus.DELETE_FAILED),
}


def may_update(status: AddonStatus) -> bool:
    """Tell whether UpdateAddon is accepted: it is also the way out of every failure but that of a deletion.

    Source: the EKS API answers 409 while an add-on is CREATING, UPDATING or DELETING.
    """
    return status not in UNDER_WAY | {AddonStatus.DELETE_FAILED}


def may_delete(status: AddonStatus) -> bool:
    """Tell whether DeleteAddon is accepted."""
    return status not in UNDER_WAY


def after(kind: OperationKind, end: End) -> After:
    """Return what follows."""
    return _AFTER[kind, end]


def judge_health(status: AddonStatus, issues: Sequence[Issue]) -> AddonStatus:
    """Return the status after a look at the cluster found these issues; others than WATCHED ones stay as they are."""
    if status not in WATCHED:
        return status
    return AddonStatus.DEGRADED if issues else AddonStatus.ACTIVE
