"""Looks at the health of add-ons: which are due, and what they found."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from vpc_cni.addons import states
from vpc_cni.addons.model import AddonRecord, Issue
from vpc_cni.addons.store.database import Database
from vpc_cni.addons.store.rows import issue_list, read_addon
from vpc_cni.addons.store.tables import ADDONS, CLUSTERS

_WATCHED = tuple(sorted(status.value for status in states.WATCHED))
_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Look:
    """An add-on to look at now.

    Attributes:
        unreachable_since: its cluster's, 0 when it was reached last time.
        unhealthy_since: when looks began to find it unhealthy while ACTIVE; 0 when the last one did not.
    """

    addon: AddonRecord
    unreachable_since: float
    at: float
    unhealthy_since: float = 0.0


class Looks:
    """Every method is one transaction.

    Args:
        chance: spreads the next looks, so that clusters which came together do not stay together.
    """

    def __init__(self, database: Database, chance: random.Random | None = None) -> None:
        self._database = database
        self._chance = chance or random.Random()  # noqa: S311 # no secret comes of it

    def claim(self, limit: int, every: float, *, unreachable: bool) -> tuple[Look, ...]:
        """Take add-ons whose look is due, and plan their next one: nobody else gets them before that.

        Args:
            every: seconds to the next look, give or take a fifth.
            unreachable: only of clusters that were not reached last time; else only of the others.
        """
        with self._database.reading() as connection:
            if not self._due(connection, self._database.now(connection), limit, unreachable):
                return ()
        with self._database.writing() as connection:
            now = self._database.now(connection)
            looks = self._due(connection, now, limit, unreachable, lock=True)
            for look in looks:
                self._plan(connection, look.addon, now + every * self._chance.uniform(1 - _JITTER, 1 + _JITTER))
        return looks

    def put_off(self, look: Look, seconds: float) -> None:
        """Look again in some seconds, not when it was planned; unless a request changed the add-on meanwhile."""
        with self._database.writing() as connection:
            self._plan(connection, look.addon, self._database.now(connection) + seconds)

    def note_unhealthy(self, look: Look, seconds: float) -> None:
        """Remember that an ACTIVE add-on is unhealthy, since now unless it was before; look again in some seconds.

        Nothing of that if a request changed the add-on meanwhile.
        """
        with self._database.writing() as connection:
            since = look.unhealthy_since or look.at
            self._plan(connection, look.addon, self._database.now(connection) + seconds, unhealthy_since=since)

    def note_health(self, look: Look, issues: Sequence[Issue]) -> bool:
        """Write what a look found, unless a request changed the add-on meanwhile; tell whether anything is new."""
        status = states.judge_health(look.addon.status, issues)
        is_new = status is not look.addon.status or tuple(issues) != look.addon.issues
        if not is_new and not look.unhealthy_since:
            return False
        with self._database.writing() as connection:
            changes: dict[str, Any] = {"issues": issue_list(issues), "unhealthy_since": 0.0}
            if status is not look.addon.status:
                changes |= {"status": status.value, "modified_at": self._database.now(connection)}
            query = sa.update(ADDONS).where(_is_as_seen(look.addon)).values(**changes)
            return bool(connection.execute(query).rowcount) and is_new

    def note_contact(self, cluster: str, *, reached: bool) -> None:
        """Write whether a cluster was reached: those that were not are tried where they delay nobody."""
        since = CLUSTERS.c.unreachable_since
        with self._database.writing() as connection:
            now = 0.0 if reached else self._database.now(connection)
            query = sa.update(CLUSTERS).where(CLUSTERS.c.name == cluster, since > 0 if reached else since == 0)
            connection.execute(query.values(unreachable_since=now))

    def _due(
        self, connection: sa.Connection, now: float, limit: int, unreachable: bool, lock: bool = False
    ) -> tuple[Look, ...]:
        since = CLUSTERS.c.unreachable_since
        query = (
            sa.select(*ADDONS.c, since)
            .join(CLUSTERS, CLUSTERS.c.name == ADDONS.c.cluster)
            .where(ADDONS.c.status.in_(_WATCHED), ADDONS.c.look_at <= now)
            .where(since > 0 if unreachable else since == 0)
            .order_by(ADDONS.c.look_at)
            .limit(limit)
        )
        if lock and self._database.on_postgresql:
            query = query.with_for_update(of=ADDONS, skip_locked=True)
        rows = connection.execute(query).mappings().all()
        return tuple(_read_look(row, now) for row in rows)

    def _plan(self, connection: sa.Connection, addon: AddonRecord, at: float, **more: float) -> None:
        connection.execute(sa.update(ADDONS).where(_is_as_seen(addon)).values(look_at=at, **more))


def _read_look(row: sa.RowMapping, now: float) -> Look:
    addon, since = read_addon(row), float(row["unhealthy_since"])
    # A change begins the wait anew: pods are replaced.
    return Look(addon, row["unreachable_since"], now, since if since >= addon.modified_at else 0.0)


def _is_as_seen(addon: AddonRecord) -> sa.ColumnElement[bool]:
    """Hold for the add-on as long as no request, and no end of work, has changed it since it was read."""
    same = (ADDONS.c.cluster == addon.cluster, ADDONS.c.name == addon.name, ADDONS.c.uid == addon.uid)
    return sa.and_(*same, ADDONS.c.status == addon.status.value, ADDONS.c.modified_at == addon.modified_at)
