"""A PostgreSQL of our own for the tests that need one."""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

_SETTINGS = ("listen_addresses=", "fsync=off", "max_connections=90")
_numbers = itertools.count(1)


def _postgresql_folder() -> Path | None:
    """Return where PostgreSQL's programs are: Debian keeps them off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a PostgreSQL of our own on a socket; return the part of its URLs before the name of a database."""
    programs = _postgresql_folder()
    if programs is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    as_root = os.geteuid() == 0
    owner = pwd.getpwnam("postgres") if as_root else pwd.getpwuid(os.geteuid())
    user: dict[str, Any] = {"user": owner.pw_uid, "group": owner.pw_gid} if as_root else {}
    # Below /tmp itself: pytest's folders are closed to other users, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="pg.", dir="/tmp"))
    data = folder / "data"
    os.chown(folder, owner.pw_uid, owner.pw_gid)

    def run(program: str, *words: str) -> None:
        command = [str(programs / program), *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, timeout=60, **user)

    run("initdb", "--pgdata", str(data), "--auth=trust", "--username=tests", "--no-sync")
    options = " ".join(f"-c {each}" for each in (*_SETTINGS, f"unix_socket_directories={folder}"))
    run("pg_ctl", "--pgdata", str(data), "--wait", "--log", str(folder / "log"), "--options", options, "start")
    try:
        yield f"postgresql://tests@/NAME?host={folder}"
    finally:
        run("pg_ctl", "--pgdata", str(data), "--wait", "--mode=immediate", "stop")
        shutil.rmtree(folder)


def new_database(pattern: str) -> str:
    """Make an empty database; return its URL."""
    name = f"store_{next(_numbers)}"
    with psycopg.connect(pattern.replace("NAME", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload] # no literal, but ours
    return pattern.replace("NAME", name)
