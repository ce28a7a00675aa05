"""Tables of earlier releases become those of this one. The only user of Alembic.

Runs in the caller's transaction: a kill in the middle leaves the database as it was.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from vpc_cni.addons.store.tables import METADATA
from vpc_cni.errors import HostError

_FOLDER = Path(__file__).resolve().parent
_HEAD = "head"


def migrate(connection: sa.Connection, target: str = _HEAD) -> None:
    """Bring the tables to a revision: by default to the newest.

    Raises:
        HostError: the tables are of a newer release.
    """
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("version_locations", str(_FOLDER / "revisions"))
    config.set_main_option("path_separator", "newline")
    scripts = ScriptDirectory.from_config(config)

    def steps(revision: object, _context: object) -> object:
        return scripts._upgrade_revs(target, revision)  # type: ignore[arg-type] # as alembic.command.upgrade does

    try:
        with EnvironmentContext(config, scripts, fn=steps, destination_rev=target) as environment:
            environment.configure(connection=connection, target_metadata=METADATA, transactional_ddl=True)
            environment.run_migrations()
    except CommandError as err:
        raise HostError(
            f"the store was written by a newer release: {err}", hint="run that release, or a newer"
        ) from err


def revisions() -> tuple[str, ...]:
    """Return the names of all revisions, the first first."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("version_locations", str(_FOLDER / "revisions"))
    config.set_main_option("path_separator", "newline")
    return tuple(reversed([each.revision for each in ScriptDirectory.from_config(config).walk_revisions()]))
