"""Credentials at rest: sealed with a key that lies beside the store, in a file for its owner alone.

Who has the database, or a backup of it, has no credentials; who has both could act on every cluster.

A key can be changed while services run (``rotation``): a vault opens with each key that its files hold, and reads them
again when it meets what none of its keys opens. So whoever seals with a new key has to lay it beside the files first,
and nobody has to be restarted.
"""

import json
import os
import threading
from dataclasses import asdict
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vpc_cni.addons.clusters.key_files import make_key, read_keys
from vpc_cni.cluster.login import Login
from vpc_cni.errors import ConfigurationError, VpcCniError

_NONCE_BYTES = 12
# First byte of what is sealed: how it is sealed.
_FORMAT = b"\x01"


class Vault:
    """Seals and opens logins. Safe for threads."""

    def __init__(self, file: Path) -> None:
        """Read the keys.

        Raises:
            HostError: a file cannot be read, or others may read it.
            ConfigurationError: one holds no key.
        """
        self._file = file
        self._lock = threading.Lock()
        self._ciphers = _ciphers_in(file)

    def seal(self, cluster: str, login: Login) -> bytes:
        """Return a login that only the current key opens, and only as that of this cluster.

        Raises:
            HostError, ConfigurationError: the keys cannot be read any more.
        """
        self._refresh()
        nonce = os.urandom(_NONCE_BYTES)
        # What an earlier release would not know is left out where it says nothing.
        members = {name: value for name, value in asdict(login).items() if value or name != "server_name"}
        return _FORMAT + nonce + self._ciphers[0].encrypt(nonce, json.dumps(members).encode(), cluster.encode())

    def open(self, cluster: str, sealed: bytes) -> Login:
        """Return what was sealed.

        Raises:
            ConfigurationError: by another key, for another cluster, or it was changed.
        """
        opened = _open(self._ciphers, cluster, sealed)
        if opened is None:
            opened = _open(self._after_refresh(), cluster, sealed)
        try:
            if opened is None:
                raise ValueError("no key opens it")
            return Login(**json.loads(opened))
        except (ValueError, TypeError) as err:
            raise ConfigurationError(
                f"the credential of cluster {cluster} cannot be opened",
                hint="use the key file that belongs to this store, or register the cluster anew with --replace",
            ) from err

    def is_current(self, cluster: str, sealed: bytes) -> bool:
        """Tell whether this was sealed with the key that seals now."""
        return _open(self._ciphers[:1], cluster, sealed) is not None

    def _refresh(self) -> None:
        ciphers = _ciphers_in(self._file)
        with self._lock:
            self._ciphers = ciphers

    def _after_refresh(self) -> tuple[AESGCM, ...]:
        try:
            self._refresh()
        except VpcCniError:
            # That nothing opens it is told; these keys still open the rest.
            return ()
        return self._ciphers


def open_vault(file: Path) -> Vault:
    """Return the vault whose key is in a file, which is made when it is not there.

    Raises:
        HostError: the file cannot be read or made, or others may read it.
        ConfigurationError: it holds no key.
    """
    make_key(file)
    return Vault(file)


def _ciphers_in(file: Path) -> tuple[AESGCM, ...]:
    return tuple(AESGCM(key) for key in read_keys(file))


def _open(ciphers: tuple[AESGCM, ...], cluster: str, sealed: bytes) -> bytes | None:
    nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    if sealed[:1] != _FORMAT:
        return None
    for each in ciphers:
        try:
            return each.decrypt(nonce, rest, cluster.encode())
        except (InvalidTag, ValueError):
            continue
    return None
