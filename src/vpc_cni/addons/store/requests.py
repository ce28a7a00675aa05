"""Requests that start work on an add-on: all that one leaves behind is written in one transaction, or nothing.

Each takes a :class:`Token` or None. A request that was accepted before returns the answer it got then, and writes
nothing; a new one returns None, and the answer is the token's.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from vpc_cni.addons import states
from vpc_cni.addons.model import AddonRecord, AddonStatus, Association, Operation, UpdateRecord
from vpc_cni.addons.store.addons import find_addon, require_addon
from vpc_cni.addons.store.associations import drop_associations, put_associations
from vpc_cni.addons.store.database import Database
from vpc_cni.addons.store.history import KEPT_UPDATES, sweep_updates
from vpc_cni.addons.store.refusals import AddonBusyError, AddonExistsError
from vpc_cni.addons.store.rows import addon_row, operation_row, update_row
from vpc_cni.addons.store.tables import ADDONS, CLUSTERS, OPERATIONS, UPDATES
from vpc_cni.addons.store.tokens import Token, admit, recall


class Requests:
    """Accepts requests. Every method is one transaction.

    Args:
        work_waits: is set when there is something to do for this process's workers.
        keep_updates: of each add-on, and of each cluster itself: so many finished ones, the newest.
    """

    def __init__(self, database: Database, work_waits: threading.Event, *, keep_updates: int = KEPT_UPDATES) -> None:
        self._database = database
        self._work_waits = work_waits
        self._keep_updates = keep_updates

    def recall(self, operation: str, token: str, digest: str) -> str | None:
        """Return the answer that the same request got before; None when it is new: then check and accept it.

        Raises:
            TokenReusedError: the token came with other parameters.
        """
        with self._database.reading() as connection:
            return recall(connection, operation, token, digest, self._database.now(connection))

    def accept_create(
        self,
        record: AddonRecord,
        operation: Operation,
        associations: Sequence[Association] = (),
        token: Token | None = None,
    ) -> str | None:
        """Write a new add-on, CREATING, its associations and the work; ``record.associations`` is not looked at.

        Raises:
            NoClusterError, AddonExistsError, AssociationExistsError, TokenReusedError
        """
        with self._database.writing() as connection:
            earlier = admit(self._database, connection, record.cluster, token)
            if earlier is not None:
                return earlier
            if find_addon(connection, record.cluster, record.name) is not None:
                raise AddonExistsError(record.cluster, record.name)
            connection.execute(sa.insert(ADDONS).values(addon_row(record)))
            put_associations(connection, record.cluster, associations)
            self._start(connection, operation, previous=None)
        self._work_waits.set()
        return None

    def accept_update(
        self,
        seen: AddonRecord,
        wished: AddonRecord,
        update: UpdateRecord,
        operation: Operation,
        *,
        associations: Sequence[Association] | None = None,
        token: Token | None = None,
    ) -> str | None:
        """Make an add-on UPDATING, with version, role, values and ``modified_at`` of ``wished``; write update and work.

        Args:
            seen: the record from which ``wished`` was made. An update accepted since then refuses this one.
            associations: all that the add-on shall own from now on; None leaves them.

        Raises:
            NoClusterError, NoAddonError, AddonBusyError, AssociationExistsError, TokenReusedError
        """
        with self._database.writing() as connection:
            earlier = admit(self._database, connection, seen.cluster, token)
            if earlier is not None:
                return earlier
            current = require_addon(connection, seen.cluster, seen.name)
            if not states.may_update(current.status):
                raise AddonBusyError(seen.cluster, seen.name, current.status)
            if _asked(current) != _asked(seen):
                raise AddonBusyError(seen.cluster, seen.name, AddonStatus.UPDATING)
            changes = {**_asked(wished), "status": AddonStatus.UPDATING.value, "modified_at": wished.modified_at}
            _change_addon(connection, current, changes)
            if associations is not None:
                drop_associations(connection, seen.cluster, seen.name, keep=[each.id for each in associations])
                put_associations(connection, seen.cluster, associations)
            self._record(connection, update)
            self._start(connection, operation, previous=_asked(current))
        self._work_waits.set()
        return None

    def accept_delete(self, operation: Operation) -> AddonRecord:
        """Make an add-on DELETING, write the work, and return the record as it is now.

        A deletion that is under way already, with the same ``preserve``, is answered again: the client repeated it.

        Raises:
            NoClusterError, NoAddonError, AddonBusyError
        """
        with self._database.writing() as connection:
            admit(self._database, connection, operation.cluster, None)
            current = require_addon(connection, operation.cluster, operation.addon)
            if self._is_repeated(connection, current, operation):
                return current
            if not states.may_delete(current.status):
                raise AddonBusyError(operation.cluster, operation.addon, current.status)
            changes = {"status": AddonStatus.DELETING.value, "modified_at": operation.created_at}
            _change_addon(connection, current, changes)
            self._start(connection, operation, previous=_asked(current))
            accepted = require_addon(connection, operation.cluster, operation.addon)
        self._work_waits.set()
        return accepted

    def accept_cluster_update(
        self, update: UpdateRecord, changes: Mapping[str, str], token: Token | None = None
    ) -> str | None:
        """Change a cluster's record, such as its version, and write the update that says so.

        Raises:
            NoClusterError, TokenReusedError
        """
        with self._database.writing() as connection:
            earlier = admit(self._database, connection, update.cluster, token)
            if earlier is not None:
                return earlier
            connection.execute(sa.update(CLUSTERS).where(CLUSTERS.c.name == update.cluster).values(**changes))
            self._record(connection, update)
            return None

    def _record(self, connection: sa.Connection, update: UpdateRecord) -> None:
        """Write an update, and forget some of the oldest beside it."""
        connection.execute(sa.insert(UPDATES).values(update_row(update)))
        sweep_updates(connection, update.cluster, update.addon, self._keep_updates)

    def _start(self, connection: sa.Connection, operation: Operation, previous: Mapping[str, Any] | None) -> None:
        work = {
            "previous": None if previous is None else dict(previous),
            "due_at": self._database.now(connection),
            "attempts": 0,
            "lease_holder": "",
            "lease_number": 0,
            "lease_until": 0.0,
        }
        connection.execute(sa.insert(OPERATIONS).values({**operation_row(operation), **work}))

    def _is_repeated(self, connection: sa.Connection, current: AddonRecord, operation: Operation) -> bool:
        if current.status is not AddonStatus.DELETING:
            return False
        query = sa.select(OPERATIONS.c.preserve).where(
            OPERATIONS.c.cluster == operation.cluster, OPERATIONS.c.addon == operation.addon
        )
        return connection.execute(query).scalar() is operation.preserve


def _asked(record: AddonRecord) -> dict[str, str | None]:
    """Return what a user asked for, by column."""
    return {
        "version": record.version,
        "role_arn": record.role_arn,
        "configuration_values": record.configuration_values,
    }


def _change_addon(connection: sa.Connection, current: AddonRecord, changes: Mapping[str, Any]) -> None:
    where = (ADDONS.c.cluster == current.cluster, ADDONS.c.name == current.name)
    connection.execute(sa.update(ADDONS).where(*where).values(**changes))
