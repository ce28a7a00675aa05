"""Add-ons and their updates, to be read; what changes them is in ``requests`` and ``work``."""

import sqlalchemy as sa

from vpc_cni.addons.model import AddonRecord, UpdateRecord
from vpc_cni.addons.store.database import Database
from vpc_cni.addons.store.pages import Page, cut_page
from vpc_cni.addons.store.refusals import NoAddonError, NoClusterError, NoUpdateError
from vpc_cni.addons.store.rows import read_addon, read_update
from vpc_cni.addons.store.tables import ADDONS, ASSOCIATIONS, CLUSTERS, UPDATES


def find_addon(connection: sa.Connection, cluster: str, name: str) -> AddonRecord | None:
    """Return an add-on with the ids of its associations, in a transaction of the caller."""
    query = sa.select(ADDONS).where(ADDONS.c.cluster == cluster, ADDONS.c.name == name)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    owned = sa.select(ASSOCIATIONS.c.id).where(ASSOCIATIONS.c.cluster == cluster, ASSOCIATIONS.c.addon == name)
    return read_addon(row, connection.execute(owned.order_by(ASSOCIATIONS.c.id)).scalars().all())


def require_addon(connection: sa.Connection, cluster: str, name: str) -> AddonRecord:
    """Return an add-on.

    Raises:
        NoClusterError, NoAddonError: there is none.
    """
    found = find_addon(connection, cluster, name)
    if found is None:
        require_cluster(connection, cluster)
        raise NoAddonError(cluster, name)
    return found


def require_cluster(connection: sa.Connection, cluster: str) -> None:
    """Raise NoClusterError when there is none of that name."""
    if connection.execute(sa.select(CLUSTERS.c.name).where(CLUSTERS.c.name == cluster)).first() is None:
        raise NoClusterError(cluster)


class Addons:
    """Reads add-ons. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, cluster: str, name: str) -> AddonRecord:
        """Return an add-on.

        Raises:
            NoClusterError, NoAddonError: there is none.
        """
        with self._database.reading() as connection:
            return require_addon(connection, cluster, name)

    def list_names(self, cluster: str, after: str = "", limit: int = 100) -> Page[str]:
        """Return the names of a cluster's add-ons in ascending order.

        Raises:
            NoClusterError: there is no such cluster.
        """
        query = sa.select(ADDONS.c.name).where(ADDONS.c.cluster == cluster, ADDONS.c.name > after)
        with self._database.reading() as connection:
            require_cluster(connection, cluster)
            names = connection.execute(query.order_by(ADDONS.c.name).limit(limit + 1)).scalars().all()
        return cut_page(names, limit, str, str)


class Updates:
    """Reads updates. ``addon`` None means updates of the cluster itself, and only those."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, cluster: str, update_id: str, addon: str | None = None) -> UpdateRecord:
        """Return an update of an add-on, or of the cluster.

        Raises:
            NoClusterError, NoUpdateError: there is none.
        """
        query = sa.select(UPDATES).where(UPDATES.c.cluster == cluster, UPDATES.c.id == update_id, _of(addon))
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
            if row is None:
                require_cluster(connection, cluster)
                raise NoUpdateError(cluster, update_id)
        return read_update(row)

    def list_ids(self, cluster: str, addon: str | None = None, after: str = "", limit: int = 100) -> Page[str]:
        """Return ids of updates, the newest first. ``after`` is the ``next`` of another page.

        Raises:
            NoClusterError: there is no such cluster.
            ValueError: ``after`` is none.
        """
        query = sa.select(UPDATES.c.created_at, UPDATES.c.id).where(UPDATES.c.cluster == cluster, _of(addon))
        if after:
            time, _, last = after.partition("/")
            query = query.where(sa.tuple_(UPDATES.c.created_at, UPDATES.c.id) < sa.tuple_(float(time), last))
        query = query.order_by(UPDATES.c.created_at.desc(), UPDATES.c.id.desc()).limit(limit + 1)
        with self._database.reading() as connection:
            require_cluster(connection, cluster)
            rows = connection.execute(query).all()
        return cut_page(rows, limit, lambda row: f"{row.created_at!r}/{row.id}", lambda row: str(row.id))


def _of(addon: str | None) -> sa.ColumnElement[bool]:
    return UPDATES.c.addon.is_(None) if addon is None else UPDATES.c.addon == addon
