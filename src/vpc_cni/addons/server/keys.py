"""Access keys of the API's clients: a JSON file of secret keys by access key id, for its owner alone.

The file may change while the service runs. Keys are replaced all at once, and only by a file that holds some: after a
mistake in it the keys of before stay valid.
"""

import json
import logging
import os
import secrets
import string
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vpc_cni.errors import ConfigurationError, HostError, VpcCniError

_LOG = logging.getLogger(__name__)
_ID_LETTERS = string.ascii_uppercase + "234567"
_SECRET_LETTERS = string.ascii_letters + string.digits + "+/"
_SHAPE = 'write {"ACCESS_KEY_ID": "SECRET_ACCESS_KEY", ...}'
_ID_PREFIX, _ID_LENGTH, _SECRET_LENGTH = "VPCCNI", 20, 40  # lengths


@dataclass(frozen=True, slots=True)
class AccessKey:
    id: str
    secret: str = field(repr=False)


class AccessKeys:
    """The keys of a file, as they were when it was last read well. Safe for threads, when one of them refreshes.

    Attributes:
        made: the key that was made because there was no file yet.
    """

    def __init__(self, file: Path) -> None:
        """Read the file, or make it.

        Raises:
            HostError: the file cannot be read or made, or others may read it.
            ConfigurationError: it holds no keys.
        """
        self._file = file
        try:
            self.made = _make(file)
        except OSError as err:
            raise HostError(
                f"access keys {file} cannot be made: {err.strerror}", hint="choose another --access-keys"
            ) from err
        self._seen = _trace_of(file)
        self._secrets = _read(file)

    def secret_of(self, key_id: str) -> str | None:
        return self._secrets.get(key_id)

    def __len__(self) -> int:
        return len(self._secrets)

    def refresh(self, *, always: bool = False) -> None:
        """Read the file again if it is another than last time; what is wrong with it is logged, once.

        Args:
            always: read it even if it looks the same.
        """
        seen = _trace_of(self._file)
        if seen == self._seen and not always:
            return
        # Noted before it is read: what is written meanwhile is seen the next time.
        self._seen = seen
        try:
            self._secrets = _read(self._file)
        except VpcCniError as err:
            _LOG.error("%s; until then the %d keys of before are valid", err, len(self._secrets))
        else:
            _LOG.info("access keys read again from %s: %d", self._file, len(self._secrets))


def _trace_of(file: Path) -> tuple[int, ...]:
    """Return what changes when a file is written, replaced, given away or removed."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(file: Path) -> Mapping[str, str]:
    try:
        if not file.is_file():
            raise HostError(f"access keys {file} are no file", hint="choose another --access-keys")
        if file.stat().st_mode & 0o077:
            raise HostError(f"access keys {file} may be read by others", hint=f"chmod 600 {file}")
        keys = json.loads(file.read_text(encoding="utf-8"))
    except OSError as err:
        raise HostError(
            f"access keys {file} cannot be read: {err.strerror}", hint=f"chown it to uid {os.geteuid()}, mode 600"
        ) from err
    except ValueError as err:
        raise ConfigurationError(f"access keys {file} are no JSON", hint=_SHAPE) from err
    if not isinstance(keys, dict) or not keys or not all(isinstance(each, str) and each for each in keys.values()):
        raise ConfigurationError(f"access keys {file} are no map of secret keys by id", hint=_SHAPE)
    return keys


def _make(file: Path) -> AccessKey | None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = AccessKey(
        _ID_PREFIX + _random(_ID_LETTERS, _ID_LENGTH - len(_ID_PREFIX)), _random(_SECRET_LETTERS, _SECRET_LENGTH)
    )
    if file.exists():
        return None
    # A name that nobody else has, in other containers neither. Its mode is 0600.
    descriptor, fresh = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump({key.id: key.secret}, opened)
            opened.flush()
            os.fsync(opened.fileno())
        # Whole or not at all, whichever of several replicas is first.
        os.link(fresh, file)
    except FileExistsError:
        return None
    finally:
        Path(fresh).unlink(missing_ok=True)
    return key


def _random(letters: str, length: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(length))
