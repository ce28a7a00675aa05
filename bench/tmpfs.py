"""A folder in memory for everything the run makes: on nodes, agents keep their journal below /run, a tmpfs."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vpc_cni.errors import HostError

# A unix socket path has at most 107 bytes, so only short ones.
CANDIDATES = ("/run", "/dev/shm", "/tmp")  # noqa: S108


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
    """Make a folder on a tmpfs; labs that start meanwhile live in it too. All of it is removed at the end."""
    place = find_tmpfs(Path("/proc/mounts").read_text())
    with tempfile.TemporaryDirectory(prefix="vpc-cni-bench-", dir=place) as name:
        former = os.environ.get("VPC_CNI_LAB_DIR")
        os.environ["VPC_CNI_LAB_DIR"] = str(Path(name, "lab"))
        try:
            yield Path(name)
        finally:
            if former is None:
                del os.environ["VPC_CNI_LAB_DIR"]
            else:
                os.environ["VPC_CNI_LAB_DIR"] = former
