"""Copies plugin binaries to the host so that a runtime never finds half of one.

All are staged beside their places first and renamed after the last was written: a full disk changes nothing.
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vpc_cni.errors import HostError

# What the conflist may name beside aws-cni, and what runtimes need for a pod's loopback. Source:
# amazon-vpc-cni-k8s README.md (bandwidth, tuning); host-local serves the egress plugin.
CHAINED = ("bandwidth", "host-local", "loopback", "portmap", "tuning")
_MODE = 0o755
# e_machine of the ELF header. Source: linux/elf-em.h.
_ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
_ELF_HEADER_BYTES = 20
_BROKEN_IMAGE = "this image is damaged or was put together wrongly; pull or build it again"


@dataclass(frozen=True, slots=True)
class Binary:
    """A program to install, and its bytes."""

    name: str
    content: bytes


def find_binaries(plugin: Path, chained_dir: Path, *, arch: str) -> tuple[Binary, ...]:
    """Read all that is to be installed, the plugin last, and check that it can run on this machine.

    Args:
        plugin: our own plugin's binary.
        chained_dir: folder with the programs named in CHAINED; other files there are left alone.

    Raises:
        HostError: one is missing, no regular file, empty, or made for another processor.
    """
    sources = (*(chained_dir / name for name in CHAINED), plugin)
    return tuple(Binary(path.name, _read_program(path, arch)) for path in sources)


def _read_program(path: Path, arch: str) -> bytes:
    try:
        if not path.is_file():
            raise HostError(f"{path} is missing or no file", hint=_BROKEN_IMAGE)
        content = path.read_bytes()
    except OSError as err:
        raise HostError(f"cannot read {path}: {err.strerror}", hint=_BROKEN_IMAGE) from err
    if content[:4] != b"\x7fELF" or len(content) < _ELF_HEADER_BYTES:
        raise HostError(f"{path} is no program ({len(content)} bytes)", hint=_BROKEN_IMAGE)
    machine = int.from_bytes(content[18:20], "little")
    if machine != _ELF_MACHINES.get(arch, machine):
        raise HostError(f"{path} is not for {arch} (ELF machine {machine})", hint=_BROKEN_IMAGE)
    return content


def install_binaries(binaries: Sequence[Binary], directory: Path) -> list[str]:
    """Put programs into the host's folder and return the names of those that changed; equal ones are left untouched.

    Raises:
        HostError: the folder is missing or cannot be written; nothing was replaced then, except where the folder
            failed between two renames.
    """
    if not directory.is_dir():
        raise HostError(
            f"{directory} is missing or no folder",
            hint="mount the host's /opt/cni/bin there, or set HOST_CNI_BIN_PATH to where it is mounted",
        )
    changed = [each for each in binaries if not _is_current(directory / each.name, each.content)]
    try:
        with contextlib.ExitStack() as staged:
            moves = [(staged.enter_context(_staged(directory, each)), directory / each.name) for each in changed]
            for source, target in moves:
                os.replace(source, target)
            if moves:
                _sync_directory(directory)
    except OSError as err:
        raise HostError(
            f"cannot write {err.filename2 or err.filename or directory}: {err.strerror}",
            hint="mount the host's folder writable, free space on it, and remove a folder that has a plugin's name",
        ) from err
    return [each.name for each in changed]


def _is_current(path: Path, content: bytes) -> bool:
    try:
        found = path.lstat()
        is_ours = stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == _MODE and found.st_uid == os.geteuid()
        return is_ours and found.st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


@contextlib.contextmanager
def _staged(directory: Path, binary: Binary) -> Iterator[Path]:
    """Write a program beside its place and flush it; at the end what was not renamed is removed."""
    path = directory / f".{binary.name}.vpc-cni.tmp"
    path.unlink(missing_ok=True)  # of an installation that was killed
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        with open(descriptor, "wb") as file:
            file.write(binary.content)
            os.fchmod(file.fileno(), _MODE)
            file.flush()
            os.fsync(file.fileno())
        yield path
    finally:
        path.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def describe(changed: Iterable[str], total: int, directory: Path) -> str:
    """Return one line for the log. Pure."""
    names = list(changed)
    what = ", ".join(names) if names else "nothing"
    return f"{directory}: installed {what}; {total - len(names)} of {total} were current"
