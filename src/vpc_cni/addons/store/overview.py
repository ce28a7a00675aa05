"""How much of everything there is, for monitoring."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from vpc_cni.addons.model import AddonStatus
from vpc_cni.addons.store.database import Database
from vpc_cni.addons.store.tables import ADDONS, CLUSTERS, OPERATIONS


@dataclass(frozen=True, slots=True)
class Overview:
    """What all replicas on one store have together.

    Attributes:
        operations: that have not ended.
        oldest_seconds: since the first of them was asked for; 0 when there is none.
        addons: number by status, of every status.
        unreachable: those of ``clusters`` that were not reached last time.
    """

    operations: int
    oldest_seconds: float
    addons: Mapping[AddonStatus, int]
    clusters: int
    unreachable: int


def read_overview(database: Database) -> Overview:
    """Count, in one transaction."""
    with database.reading() as connection:
        operations, oldest = connection.execute(
            sa.select(sa.func.count(), sa.func.min(OPERATIONS.c.created_at)).select_from(OPERATIONS)
        ).one()
        by_status = {
            status: int(number)
            for status, number in connection.execute(
                sa.select(ADDONS.c.status, sa.func.count()).group_by(ADDONS.c.status)
            )
        }
        clusters, unreachable = connection.execute(
            sa.select(sa.func.count(), sa.func.count().filter(CLUSTERS.c.unreachable_since > 0)).select_from(CLUSTERS)
        ).one()
        age = max(0.0, database.now(connection) - oldest) if operations else 0.0
    return Overview(
        operations=int(operations),
        oldest_seconds=age,
        addons={status: by_status.get(status.value, 0) for status in AddonStatus},
        clusters=int(clusters),
        unreachable=int(unreachable),
    )
