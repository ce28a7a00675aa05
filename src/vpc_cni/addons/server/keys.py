"""Access keys of the API's clients: a JSON file of secret keys by access key id, for its owner alone."""

import json
import os
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vpc_cni.errors import ConfigurationError, HostError

_ID_LETTERS = string.ascii_uppercase + "234567"
_SECRET_LETTERS = string.ascii_letters + string.digits + "+/"
_ID_PREFIX, _ID_LENGTH, _SECRET_LENGTH = "VPCCNI", 20, 40  # lengths


@dataclass(frozen=True, slots=True)
class AccessKey:
    id: str
    secret: str


def open_keys(file: Path) -> tuple[Mapping[str, str], AccessKey | None]:
    """Return the secret keys by id, and the key that was made when there was no file yet.

    Raises:
        HostError: the file cannot be read or made, or others may read it.
        ConfigurationError: it holds no keys.
    """
    try:
        made = _make(file)
        if file.stat().st_mode & 0o077:
            raise HostError(f"access keys {file} may be read by others", hint=f"chmod 600 {file}")
        keys = json.loads(file.read_text(encoding="utf-8"))
    except OSError as err:
        raise HostError(f"access keys {file} cannot be used: {err.strerror}") from err
    except ValueError as err:
        raise ConfigurationError(f"access keys {file} are no JSON") from err
    if not isinstance(keys, dict) or not keys or not all(isinstance(each, str) and each for each in keys.values()):
        raise ConfigurationError(f"access keys {file} are no map of secret keys by id")
    return keys, made


def secrets_of(keys: Mapping[str, str]) -> Callable[[str], str | None]:
    return keys.get


def _make(file: Path) -> AccessKey | None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = AccessKey(
        _ID_PREFIX + _random(_ID_LETTERS, _ID_LENGTH - len(_ID_PREFIX)), _random(_SECRET_LETTERS, _SECRET_LENGTH)
    )
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        if file.exists():
            return None
        descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump({key.id: key.secret}, opened)
        # Whole or not at all, whichever of several replicas is first.
        os.link(fresh, file)
    except FileExistsError:
        return None
    finally:
        fresh.unlink(missing_ok=True)
    return key


def _random(letters: str, length: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(length))
