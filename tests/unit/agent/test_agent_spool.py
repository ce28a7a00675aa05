import asyncio
import os
from pathlib import Path

import pytest

from vpc_cni.agent.spool import Spool
from vpc_cni.errors import HostError


def record(directory: Path, name: str, age: float = 0.0) -> Path:
    staged = directory / f".{name}.tmp"
    staged.write_bytes(b"frame")
    path = directory / name
    staged.rename(path)
    stamp = path.stat().st_mtime - age
    os.utime(path, (stamp, stamp))
    return path


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    opened = Spool(tmp_path / "spool")
    opened.open()
    return opened


def test_the_folder_is_private(spool: Spool) -> None:
    assert spool.directory.stat().st_mode & 0o777 == 0o700
    spool.close()


def test_recorded_dels_come_oldest_first_without_unfinished_files(spool: Spool) -> None:
    newer, older = record(spool.directory, "b"), record(spool.directory, "a", age=10)
    (spool.directory / ".c.tmp").write_bytes(b"half")
    assert spool.pending() == [older, newer]
    assert len(spool) == 2
    spool.done(older)
    assert spool.pending() == [newer]
    spool.close()


def test_an_unreadable_file_is_kept_aside(spool: Spool) -> None:
    spool.set_aside(record(spool.directory, "a"), "torn")
    assert spool.pending() == []
    assert [path.name for path in spool.directory.iterdir()] == ["a.unreadable"]
    spool.close()


def test_a_del_recorded_later_is_noticed(spool: Spool) -> None:
    async def noticed() -> bool:
        seen = asyncio.Event()
        spool.attach(asyncio.get_running_loop(), seen.set)
        record(spool.directory, "a")
        await asyncio.wait_for(seen.wait(), timeout=5)
        spool.close(asyncio.get_running_loop())
        return seen.is_set()

    assert asyncio.run(noticed())


def test_an_impossible_folder_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="DELs of a restart could be lost"):
        Spool(tmp_path / "file" / "spool").open()
