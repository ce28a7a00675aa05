"""Pod identity associations: one for each service account of a cluster."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from vpc_cni.addons.model import Association
from vpc_cni.addons.store.addons import require_cluster
from vpc_cni.addons.store.database import Database
from vpc_cni.addons.store.pages import Page, cut_page
from vpc_cni.addons.store.refusals import AssociationExistsError, NoAssociationError
from vpc_cni.addons.store.rows import association_row, read_association
from vpc_cni.addons.store.tables import ASSOCIATIONS
from vpc_cni.addons.store.tokens import Token, admit


def put_associations(connection: sa.Connection, cluster: str, associations: Sequence[Association]) -> None:
    """Write associations: new ones, and the roles of those whose id is there already.

    Raises:
        AssociationExistsError: another has the service account.
    """
    for each in associations:
        taken = connection.execute(
            sa.select(ASSOCIATIONS.c.id).where(
                ASSOCIATIONS.c.cluster == cluster,
                ASSOCIATIONS.c.namespace == each.namespace,
                ASSOCIATIONS.c.service_account == each.service_account,
                ASSOCIATIONS.c.id != each.id,
            )
        ).scalar()
        if taken is not None:
            raise AssociationExistsError(cluster, each.service_account, str(taken))
        # Only that: tags may have changed since the caller looked.
        changes = {"role_arn": each.role_arn, "modified_at": each.modified_at}
        query = sa.update(ASSOCIATIONS).where(_is(cluster, each.id)).values(**changes)
        if not connection.execute(query).rowcount:
            connection.execute(sa.insert(ASSOCIATIONS).values(association_row(each)))


def drop_associations(connection: sa.Connection, cluster: str, addon: str, keep: Collection[str] = ()) -> None:
    """Forget the associations that an add-on owns, but those with some ids."""
    where = (ASSOCIATIONS.c.cluster == cluster, ASSOCIATIONS.c.addon == addon, ASSOCIATIONS.c.id.not_in(keep))
    connection.execute(sa.delete(ASSOCIATIONS).where(*where))


def release_associations(connection: sa.Connection, cluster: str, addon: str) -> None:
    """Make the associations that an add-on owns nobody's: from then on they are changed one by one."""
    where = (ASSOCIATIONS.c.cluster == cluster, ASSOCIATIONS.c.addon == addon)
    connection.execute(sa.update(ASSOCIATIONS).where(*where).values(addon="", owner=""))


class Associations:
    """Reads and writes associations. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, cluster: str, association_id: str) -> Association:
        """Return an association.

        Raises:
            NoClusterError, NoAssociationError: there is none.
        """
        with self._database.reading() as connection:
            query = sa.select(ASSOCIATIONS).where(_is(cluster, association_id))
            row = connection.execute(query).mappings().first()
            if row is None:
                require_cluster(connection, cluster)
                raise NoAssociationError(cluster, association_id)
        return read_association(row)

    def find(
        self, cluster: str, *, namespace: str = "", service_account: str = "", after: str = "", limit: int = 100
    ) -> Page[Association]:
        """Return associations by ascending id; all of a cluster unless narrowed.

        Raises:
            NoClusterError: there is no such cluster.
        """
        query = sa.select(ASSOCIATIONS).where(ASSOCIATIONS.c.cluster == cluster, ASSOCIATIONS.c.id > after)
        if namespace:
            query = query.where(ASSOCIATIONS.c.namespace == namespace)
        if service_account:
            query = query.where(ASSOCIATIONS.c.service_account == service_account)
        with self._database.reading() as connection:
            require_cluster(connection, cluster)
            rows = connection.execute(query.order_by(ASSOCIATIONS.c.id).limit(limit + 1)).mappings().all()
        return cut_page(rows, limit, lambda row: str(row["id"]), read_association)

    def add(self, record: Association, token: Token | None = None) -> str | None:
        """Write a new association; return the earlier answer of a repeated request, else None.

        Raises:
            NoClusterError, AssociationExistsError, TokenReusedError
        """
        with self._database.writing() as connection:
            earlier = admit(self._database, connection, record.cluster, token)
            if earlier is not None:
                return earlier
            put_associations(connection, record.cluster, (record,))
            return None

    def change(self, record: Association, token: Token | None = None) -> str | None:
        """Give an association another role; return the earlier answer of a repeated request, else None.

        Args:
            record: of which only the role, and when it was modified, is written.

        Raises:
            NoClusterError, NoAssociationError: there is none.
            TokenReusedError
        """
        with self._database.writing() as connection:
            earlier = admit(self._database, connection, record.cluster, token)
            if earlier is not None:
                return earlier
            self._require(connection, record.cluster, record.id)
            put_associations(connection, record.cluster, (record,))
            return None

    def remove(self, cluster: str, association_id: str) -> Association:
        """Forget an association; return what it was.

        Raises:
            NoClusterError, NoAssociationError: there is none.
        """
        with self._database.writing() as connection:
            self._database.lock_cluster(connection, cluster)
            found = self._require(connection, cluster, association_id)
            connection.execute(sa.delete(ASSOCIATIONS).where(_is(cluster, association_id)))
        return found

    def _require(self, connection: sa.Connection, cluster: str, association_id: str) -> Association:
        row = connection.execute(sa.select(ASSOCIATIONS).where(_is(cluster, association_id))).mappings().first()
        if row is None:
            require_cluster(connection, cluster)
            raise NoAssociationError(cluster, association_id)
        return read_association(row)


def _is(cluster: str, association_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(ASSOCIATIONS.c.cluster == cluster, ASSOCIATIONS.c.id == association_id)
