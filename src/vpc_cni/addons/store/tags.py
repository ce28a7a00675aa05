"""Tags of whatever has an ARN. The caller has looked at partition, region and account; this knows the last part."""

from collections.abc import Callable, Collection, Mapping

import sqlalchemy as sa

from vpc_cni.addons.store.database import Database
from vpc_cni.addons.store.refusals import NoResourceError
from vpc_cni.addons.store.tables import ADDONS, ASSOCIATIONS, CLUSTERS, PROFILES

# Last parts of ARNs: kind, then what identifies it.
_KEYS: Mapping[str, tuple[sa.Table, tuple[str, ...]]] = {
    "cluster": (CLUSTERS, ("name",)),
    "addon": (ADDONS, ("cluster", "name", "uid")),
    "fargateprofile": (PROFILES, ("cluster", "name", "uid")),
    "podidentityassociation": (ASSOCIATIONS, ("cluster", "id")),
}


class Tags:
    """Reads and writes tags. ``resource`` is what follows the account in an ARN: ``addon/CLUSTER/NAME/UID``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, resource: str) -> Mapping[str, str]:
        """Return the tags of a resource.

        Raises:
            NoResourceError: there is none.
        """
        with self._database.reading() as connection:
            return self._read(connection, resource)

    def change(
        self,
        resource: str,
        put: Mapping[str, str],
        remove: Collection[str] = (),
        check: Callable[[Mapping[str, str]], None] = lambda _tags: None,
    ) -> None:
        """Set some tags and remove others.

        Args:
            check: is given the tags as they would be, and raises to leave them as they are.

        Raises:
            NoResourceError: there is none; and what ``check`` raises.
        """
        with self._database.writing() as connection:
            table, where = _find(resource)
            if self._database.on_postgresql:
                connection.execute(sa.select(table.c.tags).where(where).with_for_update())
            kept = {key: value for key, value in self._read(connection, resource).items() if key not in remove}
            tags = {**kept, **put}
            check(tags)
            connection.execute(sa.update(table).where(where).values(tags=tags))

    def _read(self, connection: sa.Connection, resource: str) -> dict[str, str]:
        table, where = _find(resource)
        row = connection.execute(sa.select(table.c.tags).where(where)).first()
        if row is None:
            raise NoResourceError(resource)
        return dict(row.tags)


def _find(resource: str) -> tuple[sa.Table, sa.ColumnElement[bool]]:
    kind, *parts = resource.split("/")
    table, names = _KEYS.get(kind, (CLUSTERS, ()))
    if not names or len(parts) != len(names):
        raise NoResourceError(resource)
    return table, sa.and_(*(table.c[name] == part for name, part in zip(names, parts, strict=True)))
