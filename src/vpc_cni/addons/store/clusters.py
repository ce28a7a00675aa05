"""Registered clusters and what the service logs in with."""

from collections.abc import Mapping

import sqlalchemy as sa

from vpc_cni.addons.model import ClusterRecord
from vpc_cni.addons.store.database import Database
from vpc_cni.addons.store.pages import Page, cut_page
from vpc_cni.addons.store.refusals import ClusterExistsError, ClusterInUseError, NoClusterError
from vpc_cni.addons.store.rows import cluster_row, read_cluster
from vpc_cni.addons.store.tables import ADDONS, CLUSTERS, CREDENTIALS, OPERATIONS, PROFILES
from vpc_cni.addons.store.tokens import Token, recall, remember

# What a cluster keeps when it is registered again.
_STAYING = ("name", "uid", "created_at", "tags")


class Clusters:
    """Reads and writes clusters. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> ClusterRecord:
        """Return a cluster.

        Raises:
            NoClusterError: there is none of that name.
        """
        with self._database.reading() as connection:
            row = connection.execute(sa.select(CLUSTERS).where(CLUSTERS.c.name == name)).mappings().first()
        if row is None:
            raise NoClusterError(name)
        return read_cluster(row)

    def list_names(self, after: str = "", limit: int = 100) -> Page[str]:
        """Return names in ascending order."""
        query = sa.select(CLUSTERS.c.name).where(CLUSTERS.c.name > after).order_by(CLUSTERS.c.name).limit(limit + 1)
        with self._database.reading() as connection:
            names = connection.execute(query).scalars().all()
        return cut_page(names, limit, str, str)

    def credential(self, name: str) -> bytes | None:
        """Return the sealed credential of a cluster; None of one without, or of none."""
        query = sa.select(CREDENTIALS.c.sealed).where(CREDENTIALS.c.cluster == name)
        with self._database.reading() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else bytes(found)

    def add(self, record: ClusterRecord, sealed: bytes | None = None, token: Token | None = None) -> str | None:
        """Write a new cluster with its sealed credential; return the earlier answer of a repeated request, else None.

        Raises:
            ClusterExistsError: there is one of that name.
            TokenReusedError: the token came with other parameters.
        """
        with self._database.writing() as connection:
            if token is not None:
                self._database.lock_token(connection, token.operation, token.token)
                now = self._database.now(connection)
                earlier = recall(connection, token.operation, token.token, token.digest, now)
                if earlier is not None:
                    return earlier
                remember(connection, token, now)
            try:
                connection.execute(sa.insert(CLUSTERS).values(cluster_row(record)))
            except sa.exc.IntegrityError as err:
                raise ClusterExistsError(record.name) from err
            if sealed is not None:
                connection.execute(sa.insert(CREDENTIALS).values(cluster=record.name, sealed=sealed))
            return None

    def change(self, name: str, changes: Mapping[str, str]) -> ClusterRecord:
        """Change texts of a cluster, such as ``version`` or ``status``, by the names of its record; return it.

        Raises:
            NoClusterError: there is none of that name.
        """
        with self._database.writing() as connection:
            query = sa.update(CLUSTERS).where(CLUSTERS.c.name == name).values(**changes).returning(*CLUSTERS.c)
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NoClusterError(name)
        return read_cluster(row)

    def replace(self, record: ClusterRecord, sealed: bytes) -> None:
        """Write a cluster anew, and its credential; its age, id and tags, and what belongs to it, stay.

        Work under way begins anew, at once: it may now be another API server that is asked. Whoever works on it loses
        its lease, so that what was done on the server of before is not taken for done.

        Raises:
            NoClusterError: there is none of that name.
        """
        row = {name: value for name, value in cluster_row(record).items() if name not in _STAYING}
        again = {"lease_number": OPERATIONS.c.lease_number + 1, "lease_until": 0.0, "deadline": 0.0, "attempts": 0}
        with self._database.writing() as connection:
            if not self._database.lock_cluster(connection, record.name):
                raise NoClusterError(record.name)
            query = sa.update(CLUSTERS).where(CLUSTERS.c.name == record.name)
            connection.execute(query.values(**row, unreachable_since=0.0))
            due = self._database.now(connection)
            work = sa.update(OPERATIONS).where(OPERATIONS.c.cluster == record.name)
            connection.execute(work.values(**again, due_at=due))
            connection.execute(sa.delete(CREDENTIALS).where(CREDENTIALS.c.cluster == record.name))
            connection.execute(sa.insert(CREDENTIALS).values(cluster=record.name, sealed=sealed))

    def reseal(self, name: str, before: bytes, after: bytes) -> bool:
        """Put a sealed credential in the place of another; False when that is not there any more."""
        was = (CREDENTIALS.c.cluster == name, CREDENTIALS.c.sealed == before)
        with self._database.writing() as connection:
            return bool(connection.execute(sa.update(CREDENTIALS).where(*was).values(sealed=after)).rowcount)

    def remove(self, name: str, *, with_everything: bool = False) -> ClusterRecord:
        """Forget a cluster, its updates, associations and credential; return what it was. Touches no cluster.

        Args:
            with_everything: also its add-ons and Fargate profiles, as records: nothing in the cluster changes.

        Raises:
            NoClusterError: there is none of that name.
            ClusterInUseError: it has add-ons or Fargate profiles, and they shall not go too.
        """
        with self._database.writing() as connection:
            self._database.lock_cluster(connection, name)
            row = connection.execute(sa.select(CLUSTERS).where(CLUSTERS.c.name == name)).mappings().first()
            if row is None:
                raise NoClusterError(name)
            used_by = () if with_everything else self._used_by(connection, name)
            if used_by:
                raise ClusterInUseError(name, used_by)
            # Before the add-ons, in the order of those who end work: else each could wait for the other.
            connection.execute(sa.delete(OPERATIONS).where(OPERATIONS.c.cluster == name))
            connection.execute(sa.delete(CLUSTERS).where(CLUSTERS.c.name == name))
        return read_cluster(row)

    def _used_by(self, connection: sa.Connection, name: str) -> tuple[str, ...]:
        addons = sa.select(ADDONS.c.name).where(ADDONS.c.cluster == name).order_by(ADDONS.c.name)
        profiles = sa.select(PROFILES.c.name).where(PROFILES.c.cluster == name).order_by(PROFILES.c.name)
        found = [f"add-on {each}" for each in connection.execute(addons).scalars()]
        found += [f"Fargate profile {each}" for each in connection.execute(profiles).scalars()]
        return tuple(found)
