"""The files of a vault's keys: one, and while it is rotated two, each of 32 random bytes for its owner alone.

    seal.key        seals and opens
    seal.key.next   opens: the key to come, laid beside by who rotates
    seal.key.old    opens: the key of before, until nothing is sealed with it

What is in the files says how far a rotation is: see ``rotation``.
"""

import errno
import os
import tempfile
from pathlib import Path

from vpc_cni.errors import ConfigurationError, HostError

_KEY_BYTES = 32


def next_file(file: Path) -> Path:
    """Return where the key to come lies. Pure."""
    return Path(f"{file}.next")


def old_file(file: Path) -> Path:
    """Return where the key of before lies. Pure."""
    return Path(f"{file}.old")


def read_keys(file: Path) -> tuple[bytes, ...]:
    """Return the key that seals, and behind it those that only open.

    Raises:
        HostError: a file cannot be read, or others may read it.
        ConfigurationError: one holds no key.
    """
    # In the order in which a rotation moves a key on: whichever moment this falls into, none is missed.
    coming = _read_if_there(next_file(file))
    current = read_key(file)
    old = _read_if_there(old_file(file))
    return (current, *(each for each in (coming, old) if each is not None and each != current))


def read_key(file: Path) -> bytes:
    """Return the key in a file; raises as ``read_keys``."""
    key = _read_if_there(file)
    if key is None:
        raise _unusable(file, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    return key


def _read_if_there(file: Path) -> bytes | None:
    try:
        with file.open("rb") as opened:
            key = opened.read()
            if os.fstat(opened.fileno()).st_mode & 0o077:
                raise HostError(f"key file {file} may be read by others", hint=f"chmod 600 {file}")
    except FileNotFoundError:
        return None
    except OSError as err:
        raise _unusable(file, err) from err
    if len(key) != _KEY_BYTES:
        raise ConfigurationError(f"key file {file} holds no key of {_KEY_BYTES} bytes", hint="restore it from a backup")
    return key


def make_key(file: Path) -> bool:
    """Make a key in a file that is not there; tell whether it was not. Whole or not at all, whoever else does the same.

    Raises:
        HostError: the file cannot be made.
    """
    try:
        if file.exists():
            return False
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A name that nobody had before: in a container, who was killed here had the same process id. Its mode is 0600.
        descriptor, fresh = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(os.urandom(_KEY_BYTES))
                opened.flush()
                os.fsync(opened.fileno())
            os.link(fresh, file)
        except FileExistsError:
            return False
        finally:
            Path(fresh).unlink()
        keep_names(file.parent)
    except OSError as err:
        raise _unusable(file, err) from err
    return True


def keep_names(folder: Path) -> None:
    """Return when the names in a folder outlive the machine's power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unusable(file: Path, err: OSError) -> HostError:
    return HostError(
        f"key file {file} cannot be used: {err.strerror}", hint="choose another --seal-key, which this user can read"
    )
