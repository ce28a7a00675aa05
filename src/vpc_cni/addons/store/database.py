"""One database: SQLite in a file, or PostgreSQL by URL. Opens it, brings its tables up to date, gives transactions.

Transactions that write exclude each other on SQLite (BEGIN IMMEDIATE), and lock the rows they depend on on PostgreSQL:
see ``lock_cluster``. Nothing is written outside one.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from vpc_cni.addons.store.tables import CLUSTERS, REVISION
from vpc_cni.errors import ConfigurationError, HostError

_BUSY_MILLISECONDS = 10_000
_BUSY_RETRY_SECONDS = 0.02
_POOL = 16
_SQLITE, _POSTGRESQL = "sqlite", "postgresql"
_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_HINT = "write sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/DATABASE"

_POSTGRESQL_HINT = (
    "check host, database, user and password in --store, and that the user may make tables there: "
    "GRANT CREATE, USAGE ON SCHEMA public"
)
_SQLITE_HINT = "check the disk, and that the file is a store and belongs to the user of the service"


def sqlite_url(file: Path) -> str:
    """Return the URL of a database in a file. Pure."""
    return URL.create(_SQLITE, database=str(file)).render_as_string()


class Database:
    """Connections to one database. Safe for threads.

    Args:
        clock: seconds since the epoch, where the database has no clock of its own: on SQLite.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        """Connect, and bring the tables up to this release; SQLite's file is made when there is none, for us alone.

        Raises:
            ConfigurationError: the URL names no database of a kind that is known.
            HostError: it cannot be reached, or a newer release has written it.
        """
        self._url = _parse(url)
        self.on_postgresql = self._url.get_backend_name() == _POSTGRESQL
        self._clock = clock
        if not self.on_postgresql:
            _make_private(Path(self._url.database or ""))
        # Parameters hold what users sent; errors, with their statement, end in a log.
        self._engine = sa.create_engine(self._url, hide_parameters=True, **_options(self.on_postgresql))
        if not self.on_postgresql:
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
        # By itself PostgreSQL shows each statement what others have written by then.
        self._reader = self._engine.execution_options(**_SNAPSHOT) if self.on_postgresql else self._engine
        try:
            with self.writing() as connection:
                self._exclude_other_migrations(connection)
                _bring_up_to_date(connection)
        except DBAPIError as err:
            self.close()
            shown = self._url.set(drivername=self._url.get_backend_name()).render_as_string(hide_password=True)
            # The rest of PostgreSQL's text is for who wrote the statement.
            reason = next(iter(str(err.orig).splitlines()), "no reason given")
            hint = _POSTGRESQL_HINT if self.on_postgresql else _SQLITE_HINT
            raise HostError(f"store {shown} cannot be used: {reason}", hint=hint) from err

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One consistent view for several reads."""
        with self._reader.connect() as connection:
            if not self.on_postgresql:
                connection.exec_driver_sql("BEGIN")
            yield connection
            connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction: all of it, or, when an error leaves the block, nothing."""
        with self._engine.connect() as connection:
            if not self.on_postgresql:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    def now(self, connection: sa.Connection) -> float:
        """Return the time by which leases are judged: one clock for all that share the database."""
        if not self.on_postgresql:
            return self._clock()
        return float(connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def lock_cluster(self, connection: sa.Connection, cluster: str, *, wait: bool = True) -> bool:
        """Keep others from changing what belongs to a cluster until the transaction ends; tell whether it exists.

        With ``wait`` false, False also when someone else has it. On SQLite the transaction itself keeps them out.
        """
        query = sa.select(CLUSTERS.c.name).where(CLUSTERS.c.name == cluster)
        if self.on_postgresql:
            query = query.with_for_update(skip_locked=not wait)
        return connection.execute(query).first() is not None

    def lock_token(self, connection: sa.Connection, operation: str, token: str) -> None:
        """Keep others from using a client's token until the transaction ends; take it after the cluster's lock.

        Tokens belong to no cluster, so its lock does not keep the same token of another out. On SQLite the transaction
        itself does.
        """
        if self.on_postgresql:
            key = {"key": f"{operation} {token}"}
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), key)

    def _exclude_other_migrations(self, connection: sa.Connection) -> None:
        # SQLite: BEGIN IMMEDIATE has done it.
        if self.on_postgresql:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('vpc-cni addons migration'))"))


def _bring_up_to_date(connection: sa.Connection) -> None:
    if sa.inspect(connection).has_table("alembic_version"):
        found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all()
        if found == [REVISION]:
            return
    # Alembic is imported where it has something to do: it takes longer to load than all the rest of a start.
    from vpc_cni.addons.store.migrating import migrate  # noqa: PLC0415

    migrate(connection)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError) as err:
        raise ConfigurationError("--store is no URL of a database", hint=_HINT) from err
    if backend not in (_SQLITE, _POSTGRESQL):
        raise ConfigurationError(f"--store names {backend}, which is not supported", hint=_HINT)
    if backend == _SQLITE and parsed.database in (None, "", ":memory:"):
        raise ConfigurationError("--store names no file", hint=_HINT)
    return parsed.set(drivername=f"{_POSTGRESQL}+psycopg") if backend == _POSTGRESQL else parsed


def _options(on_postgresql: bool) -> dict[str, Any]:
    if on_postgresql:
        # A connection that the server closed meanwhile is replaced instead of failing a request.
        return {
            "pool_pre_ping": True,
            "pool_size": _POOL,
            "max_overflow": _POOL,
            "connect_args": {"connect_timeout": 5},
        }
    return {"pool_size": _POOL, "max_overflow": _POOL, "connect_args": {"check_same_thread": False, "timeout": 10.0}}


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must begin no transactions by itself: ours begin IMMEDIATE, else two writers could deadlock.
    connection.isolation_level = None
    _write_ahead(connection)
    for pragma in (
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={_BUSY_MILLISECONDS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on. Two that do so at once in a new file exclude each other, and neither waits."""
    end = time.monotonic() + _BUSY_MILLISECONDS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as err:
            if err.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_BUSY_RETRY_SECONDS)
        else:
            return


def _make_private(file: Path) -> None:
    """Make the file, readable by us alone, before SQLite would make it readable by all."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        file.chmod(0o600)
    except OSError as err:
        raise HostError(f"store {file} cannot be made: {err.strerror}", hint="choose another --store") from err
