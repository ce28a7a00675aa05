"""A folder in memory for everything the run makes: on nodes, agents keep their journal below /run, a tmpfs."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.lab import Lab

LAB_NAME = "bench"
# A unix socket path has at most 107 bytes, so only short ones.
CANDIDATES = ("/run", "/dev/shm", "/tmp")  # noqa: S108
_LAB_DIR = "VPC_CNI_LAB_DIR"


def find_tmpfs(mounts: str) -> Path:
    """Return the first candidate that is a tmpfs, by the text of ``/proc/mounts``. Pure.

    Raises:
        HostError: there is none.
    """
    places = {fields[1] for fields in map(str.split, mounts.splitlines()) if fields[2] == "tmpfs"}
    for candidate in CANDIDATES:
        if candidate in places:
            return Path(candidate)
    raise HostError(f"none of {', '.join(CANDIDATES)} is a tmpfs", hint="run: mount -t tmpfs tmpfs /dev/shm")


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    """Make a folder on a tmpfs; labs that start meanwhile live in it too. All of it is removed at the end.

    What a run that was killed has left is removed first.

    Raises:
        HostError: another run uses it: both would measure each other.
    """
    folder = find_tmpfs(Path("/proc/mounts").read_text()) / "vpc-cni-bench"
    with _locked(folder), _environment(_LAB_DIR, str(folder / "lab")):
        Lab(name=LAB_NAME).down()
        _empty(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as err:
        raise HostError("another bench is running", hint="wait for its end") from err
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    former = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if former is None:
            del os.environ[name]
        else:
            os.environ[name] = former


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
