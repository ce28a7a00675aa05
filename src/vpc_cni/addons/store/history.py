"""How much of the past is kept: so many finished updates of each add-on, the newest.

There is no task that sweeps. Whoever writes an update forgets some old ones beside it, in the same transaction and
under the lock of the cluster: replicas do not meet there, and where nothing is written nothing grows.
"""

import sqlalchemy as sa

from vpc_cni.addons.model import UpdateStatus
from vpc_cni.addons.store.tables import UPDATES

# A person reads the last few; programs ask for one that they wait for.
KEPT_UPDATES = 100
# More than the one that is written, so that a long history of an earlier release shrinks; few, so that nobody waits.
_SWEPT = 50
_AGE = (UPDATES.c.created_at, UPDATES.c.id)


def sweep_updates(connection: sa.Connection, cluster: str, addon: str | None, keep: int) -> None:
    """Forget some of the oldest finished updates beyond the ``keep`` newest; never one that is under way.

    Args:
        addon: whose; None for those of the cluster itself.
    """
    of_addon = UPDATES.c.addon.is_(None) if addon is None else UPDATES.c.addon == addon
    finished = (UPDATES.c.cluster == cluster, of_addon, UPDATES.c.status != UpdateStatus.IN_PROGRESS.value)
    newest_first = sa.select(*_AGE).where(*finished).order_by(*(each.desc() for each in _AGE))
    last = connection.execute(newest_first.offset(keep).limit(1)).first()
    if last is None:
        return
    old = sa.select(UPDATES.c.id).where(*finished, sa.tuple_(*_AGE) <= sa.tuple_(last.created_at, last.id))
    ids = connection.execute(old.order_by(*_AGE).limit(_SWEPT)).scalars().all()
    connection.execute(sa.delete(UPDATES).where(UPDATES.c.cluster == cluster, UPDATES.c.id.in_(ids)))
