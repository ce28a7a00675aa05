"""Exit statuses of the whole command line: one table, which scripts rely on and docs/self-managed.md prints. Pure.

Each status stands for what a script would do next, so errors of one status need not be related. The first row that an
error belongs to counts; what belongs to none has failed.
"""

from dataclasses import dataclass

from vpc_cni.errors import (
    CallerError,
    ConfigurationError,
    DeviationError,
    FieldConflictError,
    OperationFailedError,
    RefusedError,
    RolloutError,
    RolloutTimeoutError,
    UnknownTypeError,
    VpcCniError,
)


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """A status, the errors that end with it, and what it says, for people."""

    number: int
    errors: tuple[type[VpcCniError], ...]
    meaning: str


DONE = ExitStatus(0, (), "done")
FAILED = ExitStatus(
    1, (), "failed: the API server, EKS or a node refused or was not reached, a file could not be written"
)
EXIT_STATUSES = (
    DONE,
    FAILED,
    ExitStatus(2, (CallerError, ConfigurationError), "wrong usage, wrong settings, no such cluster or version"),
    ExitStatus(3, (FieldConflictError,), "conflict: others own fields that would change; nothing was changed"),
    ExitStatus(4, (RefusedError,), "refused by a check; nothing was changed"),
    ExitStatus(5, (RolloutError,), "changed, but pods do not start"),
    ExitStatus(6, (RolloutTimeoutError,), "changed, but the roll-out had not ended at the deadline; it goes on"),
    ExitStatus(7, (UnknownTypeError,), "who manages the add-on is not known; nothing was changed"),
    ExitStatus(8, (DeviationError,), "not as planned (`verify`), or something differs (`--exit-code`)"),
    ExitStatus(
        9, (OperationFailedError,), "EKS gave the change up for another reason; nothing of it was applied, or a part"
    ),
)


def exit_status(err: VpcCniError) -> int:
    """Return the number with which a command ends that failed so."""
    return next((row.number for row in EXIT_STATUSES if isinstance(err, row.errors)), FAILED.number)
