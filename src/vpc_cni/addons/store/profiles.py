"""Fargate profiles: records only, nothing runs on Fargate here."""

import sqlalchemy as sa

from vpc_cni.addons.model import FargateProfile
from vpc_cni.addons.store.addons import require_cluster
from vpc_cni.addons.store.database import Database
from vpc_cni.addons.store.pages import Page, cut_page
from vpc_cni.addons.store.refusals import NoProfileError, ProfileExistsError
from vpc_cni.addons.store.rows import profile_row, read_profile
from vpc_cni.addons.store.tables import PROFILES
from vpc_cni.addons.store.tokens import Token, admit


class Profiles:
    """Reads and writes Fargate profiles. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, cluster: str, name: str) -> FargateProfile:
        """Return a profile.

        Raises:
            NoClusterError, NoProfileError: there is none.
        """
        with self._database.reading() as connection:
            return _require(connection, cluster, name)

    def list_names(self, cluster: str, after: str = "", limit: int = 100) -> Page[str]:
        """Return the names of a cluster's profiles in ascending order.

        Raises:
            NoClusterError: there is no such cluster.
        """
        query = sa.select(PROFILES.c.name).where(PROFILES.c.cluster == cluster, PROFILES.c.name > after)
        with self._database.reading() as connection:
            require_cluster(connection, cluster)
            names = connection.execute(query.order_by(PROFILES.c.name).limit(limit + 1)).scalars().all()
        return cut_page(names, limit, str, str)

    def add(self, record: FargateProfile, token: Token | None = None) -> str | None:
        """Write a new profile; return the earlier answer of a repeated request, else None.

        Raises:
            NoClusterError, ProfileExistsError, TokenReusedError
        """
        with self._database.writing() as connection:
            earlier = admit(self._database, connection, record.cluster, token)
            if earlier is not None:
                return earlier
            if connection.execute(sa.select(PROFILES.c.name).where(_is(record.cluster, record.name))).first():
                raise ProfileExistsError(record.cluster, record.name)
            connection.execute(sa.insert(PROFILES).values(profile_row(record)))
            return None

    def remove(self, cluster: str, name: str) -> FargateProfile:
        """Forget a profile; return what it was.

        Raises:
            NoClusterError, NoProfileError: there is none.
        """
        with self._database.writing() as connection:
            self._database.lock_cluster(connection, cluster)
            found = _require(connection, cluster, name)
            connection.execute(sa.delete(PROFILES).where(_is(cluster, name)))
        return found


def _require(connection: sa.Connection, cluster: str, name: str) -> FargateProfile:
    row = connection.execute(sa.select(PROFILES).where(_is(cluster, name))).mappings().first()
    if row is None:
        require_cluster(connection, cluster)
        raise NoProfileError(cluster, name)
    return read_profile(row)


def _is(cluster: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(PROFILES.c.cluster == cluster, PROFILES.c.name == name)
