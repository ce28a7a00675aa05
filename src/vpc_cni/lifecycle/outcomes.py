"""How a change of the add-on ended, from what EKS says of update and add-on. Pure.

Theory of operation. Nothing is ever rolled back by EKS, and "failed" has three meanings that call for different acts:

==================  =============================  ============================================================
end                 seen as                        the cluster holds
==================  =============================  ============================================================
done                Successful, ACTIVE             what was asked for, running
conflict            ConfigurationConflict          what it held before: nothing was applied
failed              any other error                what it held before, or a part of what was asked for
degraded            Failed or not, and DEGRADED    what was asked for, though pods do not run; it may heal by itself
under way           InProgress, CREATING, ...      something between
==================  =============================  ============================================================
"""

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

from vpc_cni.errors import (
    FieldConflictError,
    OperationFailedError,
    RolloutError,
    RolloutTimeoutError,
    VpcCniError,
)
from vpc_cni.lifecycle.records import Issue, ManagedAddon, Update

CONFLICT_CODE = "ConfigurationConflict"
# Everything was applied, and pods did not become ready in time.
SLOW_CODE = "InsufficientNumberOfReplicas"
# Kind, group where there is one, name, path; the message of EKS has a line of these for each manager and field.
_CONFLICT = re.compile(r"(?P<kind>[A-Z]\w+)(?:\.(?P<group>[\w.-]+))? (?P<name>\S+) - (?P<path>\..+)")


class End(enum.StrEnum):
    DONE = "done"
    CONFLICT = "conflict"
    FAILED = "failed"
    DEGRADED = "degraded"
    UNDER_WAY = "under way"


@dataclass(frozen=True, slots=True)
class Judgement:
    """How far a change is; ``issues`` say why it is not done."""

    end: End
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class ConflictLine:
    """A field in a message of EKS: its object, and its path."""

    group: str
    kind: str
    name: str
    path: str


def judge_update(update: Update, addon: ManagedAddon) -> Judgement:
    """Return how an update is; the add-on was asked for after the update."""
    issues = update.errors or addon.issues
    if update.status == "InProgress" or addon.status == "UPDATING":
        return Judgement(End.UNDER_WAY, issues)
    if _has_conflict(update.errors):
        return Judgement(End.CONFLICT, update.errors)
    if addon.status == "ACTIVE" and not addon.issues:
        return Judgement(End.FAILED, update.errors) if _gave_up(update) else Judgement(End.DONE)
    return Judgement(End.DEGRADED if addon.status == "DEGRADED" else End.FAILED, issues)


def _gave_up(update: Update) -> bool:
    """Whether an update was not carried out. One that was too slow for EKS was, and may have healed meanwhile."""
    if update.status not in ("Failed", "Cancelled"):
        return False
    return not update.errors or any(each.code != SLOW_CODE for each in update.errors)


def judge_creation(addon: ManagedAddon | None) -> Judgement:
    """Return how a creation is; None when the add-on has gone meanwhile."""
    if addon is None:
        return Judgement(End.FAILED, (Issue("ResourceNotFound", "somebody deleted the add-on"),))
    if addon.status == "CREATING":
        return Judgement(End.UNDER_WAY, addon.issues)
    if addon.status == "ACTIVE":
        return Judgement(End.DONE)
    if _has_conflict(addon.issues):
        return Judgement(End.CONFLICT, addon.issues)
    return Judgement(End.DEGRADED if addon.status == "DEGRADED" else End.FAILED, addon.issues)


def judge_deletion(addon: ManagedAddon | None) -> Judgement:
    """Return how a deletion is; None when the add-on is gone."""
    if addon is None:
        return Judgement(End.DONE)
    return Judgement(End.FAILED if addon.status == "DELETE_FAILED" else End.UNDER_WAY, addon.issues)


def _has_conflict(issues: Iterable[Issue]) -> bool:
    return any(each.code == CONFLICT_CODE for each in issues)


def parse_conflicts(issues: Iterable[Issue]) -> tuple[ConflictLine, ...]:
    """Return the fields that EKS says are in conflict, each once, in the order of the message."""
    lines = (line for each in issues if each.code == CONFLICT_CODE for line in each.message.splitlines())
    found = (_CONFLICT.fullmatch(line.strip()) for line in lines)
    return tuple(
        dict.fromkeys(
            ConflictLine(each["group"] or "", each["kind"], each["name"], each["path"]) for each in found if each
        )
    )


def error_of(judgement: Judgement, what: str, *, seconds: float) -> VpcCniError | None:
    """Return the error with which a command ends; None when the change is done.

    Args:
        what: such as ``the update to v1.16.2-eksbuild.1``.
        seconds: how long was waited for it.
    """
    said = "".join(f"\n  {line}" for each in judgement.issues for line in str(each).splitlines())
    if judgement.end is End.CONFLICT:
        return FieldConflictError(
            f"{what} changed nothing: others own fields that it would change{said}",
            hint="`vpc-cni addon plan` shows owners and values; then --resolve-conflicts PRESERVE keeps live values, "
            "OVERWRITE takes the add-on's",
        )
    if judgement.end is End.FAILED:
        return OperationFailedError(
            f"{what} failed{said}", hint="docs/runbook.md has cause and remedy of each code; `rollback` goes back"
        )
    if judgement.end is End.DEGRADED:
        return RolloutError(
            f"{what} is applied, but pods do not run{said}",
            hint="look at the pods of DaemonSet aws-node; it heals by itself when they run; `rollback` goes back",
        )
    if judgement.end is End.UNDER_WAY:
        return RolloutTimeoutError(
            f"{what} has not ended after {seconds:g} s{said}",
            hint="it goes on: `vpc-cni addon status` shows it; EKS cannot cancel it",
        )
    return None
