"""Work by lease: who does which operation, until when, and what became of it.

A worker claims an operation, renews the lease while it works, and ends it. One that was killed renews no more: when
its lease is over, another claims the operation and begins anew. Every write names the lease by its number, so that a
worker which only seemed dead changes nothing any more: it gets LeaseLostError.

Of all operations of a cluster at most one is leased at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from vpc_cni.addons import states
from vpc_cni.addons.model import Issue, Operation, OperationKind
from vpc_cni.addons.store.associations import drop_associations, release_associations
from vpc_cni.addons.store.database import Database
from vpc_cni.addons.store.refusals import LeaseLostError
from vpc_cni.addons.store.rows import issue_list, read_operation
from vpc_cni.addons.store.tables import ADDONS, CLUSTERS, OPERATIONS, UPDATES

_CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class Lease:
    """An operation that one worker holds.

    Attributes:
        number: grows with each claim of the operation.
        attempts: how many tries failed in a way that is worth another one.
        claimed_at: time of the store's clock.
        unreachable_since: of its cluster; 0 when it was reached last time.
        unchanged: no try has written to the cluster yet, and the record would show again what it showed before.
    """

    operation: Operation
    number: int
    attempts: int
    claimed_at: float
    unreachable_since: float
    unchanged: bool = False


class Leases:
    """Claims and ends work. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, holder: str, seconds: float, *, unreachable: bool) -> Lease | None:
        """Take the operation that is due longest, for some seconds; None when nothing is due.

        Args:
            unreachable: only of clusters that were not reached last time; else only of the others.
        """
        with self._database.reading() as connection:
            if not self._candidates(connection, self._database.now(connection), unreachable):
                return None
        with self._database.writing() as connection:
            now = self._database.now(connection)
            for operation_id, cluster, since in self._candidates(connection, now, unreachable):
                if not self._database.lock_cluster(connection, cluster, wait=False):
                    continue
                row = connection.execute(_take(operation_id, holder, now, now + seconds)).mappings().first()
                if row is not None:
                    unchanged = row["previous"] is not None
                    return Lease(read_operation(row), row["lease_number"], row["attempts"], now, since, unchanged)
        return None

    def take_back(self, holder: str) -> None:
        """Make what ``holder`` claimed due again: for a process that knows that its predecessor is dead."""
        with self._database.writing() as connection:
            mine = (OPERATIONS.c.lease_holder == holder, OPERATIONS.c.lease_until > 0)
            connection.execute(sa.update(OPERATIONS).where(*mine).values(lease_until=0.0))

    def renew(self, lease: Lease, seconds: float) -> None:
        """Keep the work for some more seconds.

        Raises:
            LeaseLostError: it is someone else's by now; so do all methods below.
        """
        with self._database.writing() as connection:
            # Given back meanwhile, it must not be held again: that would only delay its next try.
            held = OPERATIONS.c.lease_until > 0
            self._write(connection, lease, {"lease_until": self._database.now(connection) + seconds}, held)

    def release(self, lease: Lease, seconds: float, *, failed: bool = False) -> None:
        """Give the work back; it is due again in some seconds."""
        with self._database.writing() as connection:
            due = self._database.now(connection) + seconds
            attempts = OPERATIONS.c.attempts + 1 if failed else 0
            self._write(connection, lease, {"lease_until": 0.0, "due_at": due, "attempts": attempts})

    def note_changing(self, lease: Lease) -> None:
        """Write, before the first write to the cluster, that it may differ from what was before the request."""
        with self._database.writing() as connection:
            self._write(connection, lease, {"previous": None})

    def note_applied(self, lease: Lease, deadline_seconds: float) -> float:
        """Write that the objects are as asked for, once; return when waiting for the roll-out ends."""
        with self._database.writing() as connection:
            deadline = self._database.now(connection) + deadline_seconds
            first = sa.case((OPERATIONS.c.deadline > 0, OPERATIONS.c.deadline), else_=deadline)
            return float(self._write(connection, lease, {"deadline": first})["deadline"])

    def note_issues(self, lease: Lease, issues: Sequence[Issue]) -> None:
        """Show issues while the work goes on."""
        with self._database.writing() as connection:
            self._write(connection, lease, {"attempts": OPERATIONS.c.attempts})
            self._change_addon(connection, lease.operation, {"issues": issue_list(issues)})

    def finish(self, lease: Lease, end: states.End, issues: Sequence[Issue] = ()) -> None:
        """End the work: status of the add-on and of the update, and the operation is gone.

        A refused add-on shows again what it showed before the request, unless some try wrote to the cluster.
        """
        operation, follows = lease.operation, states.after(lease.operation.kind, end)
        with self._database.writing() as connection:
            row = self._write(connection, lease, {"lease_until": 0.0})
            now = self._database.now(connection)
            connection.execute(sa.delete(OPERATIONS).where(OPERATIONS.c.id == operation.id))
            if follows.addon is None:
                _forget_addon(connection, operation)
                return
            restored = dict(row["previous"] or {}) if end is states.End.REFUSED else {}
            self._change_addon(
                connection,
                operation,
                {
                    **restored,
                    "status": follows.addon.value,
                    "issues": issue_list(issues),
                    "modified_at": now,
                    "look_at": now,
                },
            )
            if follows.update is not None:
                where = (UPDATES.c.cluster == operation.cluster, UPDATES.c.id == operation.update_id)
                changes = {"status": follows.update.value, "errors": issue_list(issues)}
                connection.execute(sa.update(UPDATES).where(*where).values(**changes))

    def count(self) -> int:
        """Return how many operations have not ended."""
        with self._database.reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(OPERATIONS)).scalar_one())

    def _candidates(self, connection: sa.Connection, now: float, unreachable: bool) -> Sequence[Any]:
        since = CLUSTERS.c.unreachable_since
        query = (
            sa.select(OPERATIONS.c.id, OPERATIONS.c.cluster, since)
            .join(CLUSTERS, CLUSTERS.c.name == OPERATIONS.c.cluster)
            .where(OPERATIONS.c.due_at <= now, OPERATIONS.c.lease_until <= now)
            .where(since > 0 if unreachable else since == 0)
            .where(~_leased_elsewhere(OPERATIONS.c.cluster, OPERATIONS.c.id, now))
            .order_by(OPERATIONS.c.due_at, OPERATIONS.c.created_at)
            .limit(_CANDIDATES)
        )
        return connection.execute(query).all()

    def _write(
        self, connection: sa.Connection, lease: Lease, changes: Mapping[str, Any], *further: sa.ColumnElement[bool]
    ) -> sa.RowMapping:
        where = (OPERATIONS.c.id == lease.operation.id, OPERATIONS.c.lease_number == lease.number, *further)
        query = sa.update(OPERATIONS).where(*where).values(**changes).returning(*OPERATIONS.c)
        row = connection.execute(query).mappings().first()
        if row is None:
            raise LeaseLostError(lease.operation.id)
        return row

    def _change_addon(self, connection: sa.Connection, operation: Operation, changes: Mapping[str, Any]) -> None:
        where = (ADDONS.c.cluster == operation.cluster, ADDONS.c.name == operation.addon)
        connection.execute(sa.update(ADDONS).where(*where).values(**changes))


def _leased_elsewhere(cluster: Any, operation_id: Any, now: float) -> sa.ColumnElement[bool]:
    other = OPERATIONS.alias("other")
    return sa.exists().where(other.c.cluster == cluster, other.c.id != operation_id, other.c.lease_until > now)


def _take(operation_id: str, holder: str, now: float, until: float) -> Any:
    """Return the statement that takes an operation if it is still to be had: another may have been quicker."""
    free = (OPERATIONS.c.id == operation_id, OPERATIONS.c.due_at <= now, OPERATIONS.c.lease_until <= now)
    query = sa.update(OPERATIONS).where(*free, ~_leased_elsewhere(OPERATIONS.c.cluster, OPERATIONS.c.id, now))
    number = OPERATIONS.c.lease_number + 1
    return query.values(lease_holder=holder, lease_number=number, lease_until=until).returning(*OPERATIONS.c)


def _forget_addon(connection: sa.Connection, operation: Operation) -> None:
    assert operation.kind is OperationKind.DELETE  # noqa: S101 # else a bug would forget what is installed
    if operation.preserve:
        # The pods stay, and with them what gives them their role.
        release_associations(connection, operation.cluster, operation.addon)
    else:
        drop_associations(connection, operation.cluster, operation.addon)
    of_addon = (UPDATES.c.cluster == operation.cluster, UPDATES.c.addon == operation.addon)
    connection.execute(sa.delete(UPDATES).where(*of_addon))
    where = (ADDONS.c.cluster == operation.cluster, ADDONS.c.name == operation.addon)
    connection.execute(sa.delete(ADDONS).where(*where))
