"""Credentials at rest: sealed with a key that lies beside the store, in a file for its owner alone.

Who has the database, or a backup of it, has no credentials; who has both could act on every cluster.
"""

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vpc_cni.cluster.login import Login
from vpc_cni.errors import ConfigurationError, HostError

_KEY_BYTES = 32
_NONCE_BYTES = 12
# First byte of what is sealed: how it is sealed.
_FORMAT = b"\x01"


class Vault:
    """Seals and opens logins. Safe for threads."""

    def __init__(self, key: bytes) -> None:
        """Take a key of 32 random bytes."""
        self._cipher = AESGCM(key)

    def seal(self, cluster: str, login: Login) -> bytes:
        """Return a login that only this key opens, and only as that of this cluster."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, json.dumps(asdict(login)).encode(), cluster.encode())

    def open(self, cluster: str, sealed: bytes) -> Login:
        """Return what was sealed.

        Raises:
            ConfigurationError: by another key, for another cluster, or it was changed.
        """
        nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if sealed[:1] != _FORMAT:
                raise ValueError("it is sealed in a way that is not known")
            return Login(**json.loads(self._cipher.decrypt(nonce, rest, cluster.encode())))
        except (InvalidTag, ValueError, TypeError) as err:
            raise ConfigurationError(
                f"the credential of cluster {cluster} cannot be opened",
                hint="use the key file that belongs to this store, or register the cluster anew with --replace",
            ) from err


def open_vault(file: Path) -> Vault:
    """Return the vault whose key is in a file, which is made when it is not there.

    Raises:
        HostError: the file cannot be read or made, or others may read it.
        ConfigurationError: it holds no key.
    """
    try:
        key = _make_key(file) or file.read_bytes()
        if file.stat().st_mode & 0o077:
            raise HostError(f"key file {file} may be read by others", hint=f"chmod 600 {file}")
    except OSError as err:
        raise HostError(
            f"key file {file} cannot be used: {err.strerror}",
            hint="choose another --seal-key, which this user can read",
        ) from err
    if len(key) != _KEY_BYTES:
        raise ConfigurationError(f"key file {file} holds no key of {_KEY_BYTES} bytes", hint="restore it from a backup")
    return Vault(key)


def _make_key(file: Path) -> bytes | None:
    """Make a key in a file that is not there; None when it is. Whole or not at all, whoever else does the same."""
    if file.exists():
        return None
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = os.urandom(_KEY_BYTES)
    # A name that nobody had before: in a container, who was killed here had the same process id. Its mode is 0600.
    descriptor, fresh = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(key)
            opened.flush()
            os.fsync(opened.fileno())
        os.link(fresh, file)
    except FileExistsError:
        return None
    finally:
        Path(fresh).unlink()
    return key
