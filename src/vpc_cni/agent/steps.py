"""Named steps between which a kill must do no harm.

Each place where the agent changes something that outlives it (journal, kernel, EC2) is a step with a name. In
production reaching one costs a comparison. With ``VPC_CNI_CRASH_AT=NAME`` or ``NAME:N`` the process kills itself
when it reaches the step (for the Nth time), which is how the fault tests visit every one of them.
"""

import enum
import os
import signal
from collections.abc import Callable

from vpc_cni.errors import ConfigurationError


class Step(enum.StrEnum):
    """What has just been done when the step is reached."""

    ADD_ASSIGNED = "add-assigned"
    ADD_INTENT_WRITTEN = "add-intent-written"
    ADD_HOST_WIRED = "add-host-wired"
    ADD_WIRED = "add-wired"
    ADD_COMMIT_WRITTEN = "add-commit-written"
    DEL_WRITTEN = "del-written"
    DEL_UNWIRED = "del-unwired"
    LINK_GONE = "link-gone"
    LINK_GONE_WRITTEN = "link-gone-written"
    SPOOL_TAKEN = "spool-taken"
    SPOOL_REPLAYED = "spool-replayed"
    RESTORE_READ = "restore-read"
    RESTORE_WRITTEN = "restore-written"
    RESTORE_CLEANED = "restore-cleaned"
    LINK_ADOPTED = "link-adopted"
    CHECKPOINT_NOTED = "checkpoint-noted"
    CHECKPOINT_WRITTEN = "checkpoint-written"
    COMPACTION_BEGUN = "compaction-begun"
    JOURNAL_COMPACTED = "journal-compacted"
    STOP_ANNOUNCED = "stop-announced"
    CREATE_INTENT_WRITTEN = "create-intent-written"
    CREATED = "eni-created"
    CREATE_OUTCOME_WRITTEN = "create-outcome-written"
    ATTACH_INTENT_WRITTEN = "attach-intent-written"
    ATTACHED = "eni-attached"
    ATTACH_OUTCOME_WRITTEN = "attach-outcome-written"
    LINK_SET_UP = "eni-link-set-up"
    DELETE_ON_TERMINATION_SET = "delete-on-termination-set"
    ASSIGN_INTENT_WRITTEN = "assign-intent-written"
    ADDRESSES_ASSIGNED = "addresses-assigned"
    ASSIGN_OUTCOME_WRITTEN = "assign-outcome-written"
    UNASSIGN_INTENT_WRITTEN = "unassign-intent-written"
    ADDRESSES_UNASSIGNED = "addresses-unassigned"
    UNASSIGN_OUTCOME_WRITTEN = "unassign-outcome-written"
    DETACH_INTENT_WRITTEN = "detach-intent-written"
    DETACHED = "eni-detached"
    DETACH_OUTCOME_WRITTEN = "detach-outcome-written"
    DELETED = "eni-deleted"
    DELETE_OUTCOME_WRITTEN = "delete-outcome-written"
    TAKEOVER_NOTED = "takeover-noted"
    TAKEOVER_TABLE_CLEARED = "takeover-table-cleared"
    HANDBACK_TABLE_MADE = "handback-table-made"
    HANDBACK_CHECKPOINT_NOTED = "handback-checkpoint-noted"
    HANDBACK_CHECKPOINT_WRITTEN = "handback-checkpoint-written"
    HANDBACK_NOTED = "handback-noted"
    HANDBACK_TABLE_DROPPED = "handback-table-dropped"


Reach = Callable[[Step], None]


def ignore_step(_step: Step) -> None:
    """Do nothing: what production does at every step."""


def crash_at(text: str) -> Reach:
    """Return a function that kills this process at the step that ``text`` names; empty names none.

    Raises:
        ConfigurationError: no such step, or the count is not a positive number.
    """
    if not text:
        return ignore_step
    name, _, count = text.partition(":")
    try:
        step, remaining = Step(name), int(count or "1")
    except ValueError:
        known = " ".join(sorted(Step))
        raise ConfigurationError(
            f"VPC_CNI_CRASH_AT={text!r} names no step", hint=f"write NAME or NAME:N with one of: {known}"
        ) from None
    if remaining < 1:
        raise ConfigurationError(f"VPC_CNI_CRASH_AT={text!r}: the count must be 1 or more")

    def reach(reached: Step) -> None:
        nonlocal remaining
        if reached is step:
            remaining -= 1
            if remaining == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reach
