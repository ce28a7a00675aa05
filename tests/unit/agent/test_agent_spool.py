import asyncio
from pathlib import Path

import pytest

from vpc_cni.agent.spool import SpoolWatch
from vpc_cni.errors import HostError


def record(directory: Path, name: str) -> None:
    staged = directory / f".{name}.tmp"
    staged.write_bytes(b"frame")
    staged.rename(directory / name)


def test_a_recorded_del_is_noticed_and_the_folder_is_private(tmp_path: Path) -> None:
    async def watch() -> None:
        seen = asyncio.Event()
        directory = tmp_path / "run" / "spool"
        spool = SpoolWatch(directory, seen.set)
        record(directory, "a")
        await asyncio.wait_for(seen.wait(), timeout=5)
        spool.close()
        spool.close()
        assert directory.stat().st_mode & 0o777 == 0o700

    asyncio.run(watch())


def test_an_impossible_folder_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def watch() -> None:
        SpoolWatch(tmp_path / "file" / "spool", lambda: None)

    with pytest.raises(HostError, match="DELs of a restart could be lost"):
        asyncio.run(watch())
