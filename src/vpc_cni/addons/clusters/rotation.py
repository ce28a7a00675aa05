"""Changing the key that seals credentials, while services run and without a moment in which one cannot read.

Theory of operation. Four steps, of which the files (``key_files``) and the credentials say which are done, so that
whoever was killed begins anew and goes on:

1. ``add_key`` lays a new key beside the old one. Nothing is sealed with it yet; replicas with files of their own get
   a copy of it now.
2. ``promote_key`` makes it the one that seals. The old one still opens.
3. ``reseal`` seals each credential anew, one transaction each, unless it changed meanwhile.
4. ``drop_key`` removes the old key, when nothing is sealed with it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vpc_cni.addons.clusters.key_files import keep_names, make_key, next_file, old_file, read_key
from vpc_cni.addons.clusters.vault import Vault
from vpc_cni.addons.store import Store
from vpc_cni.errors import CallerError, ConfigurationError, HostError

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many credentials were sealed anew, and the clusters whose credentials no key opens."""

    number: int
    broken: tuple[str, ...]


def add_key(file: Path) -> Path:
    """Make the key to come, unless it is there; return its file.

    Raises:
        CallerError: the rotation before is not ended, or there is no key to change.
        HostError: the file cannot be made.
    """
    if not file.exists():
        raise CallerError(f"there is no key file {file}", hint="name the one that the service uses by --seal-key")
    if old_file(file).exists() and not next_file(file).exists():
        raise CallerError("the rotation before this one is not ended", hint="run the steps reseal and drop")
    coming = next_file(file)
    make_key(coming)
    try:
        # Root may do this for a service that is not: which must be able to read the new one as well.
        owner = file.stat()
        os.chown(coming, owner.st_uid, owner.st_gid)
    except OSError as err:
        raise HostError(f"key file {coming} cannot be given to the service: {err.strerror}") from err
    return coming


def promote_key(file: Path) -> None:
    """Seal with the key to come from now on, and keep the one of before; nothing when that was done already.

    Raises:
        CallerError: there is no key to come, or the one of the rotation before is still there.
        HostError, ConfigurationError: a file cannot be used.
    """
    coming, old = next_file(file), old_file(file)
    if not coming.exists():
        if old.exists():
            return
        raise CallerError(f"there is no key {coming}", hint="run the step add first")
    if old.exists() and read_key(old) != read_key(file):
        raise CallerError(
            f"{old} is of the rotation before", hint=f"remove {coming}, and run the steps reseal and drop"
        )
    read_key(coming)
    try:
        if not old.exists():
            os.link(file, old)
        os.replace(coming, file)
        keep_names(file.parent)
    except OSError as err:
        raise HostError(f"key file {file} cannot be replaced: {err.strerror}", hint="check its folder") from err


def reseal(store: Store, vault: Vault) -> Resealed:
    """Seal with the current key what is not; a credential that is written meanwhile is left as it was written."""
    number, broken = 0, list[str]()
    for name, sealed in _credentials(store):
        if vault.is_current(name, sealed):
            continue
        try:
            login = vault.open(name, sealed)
        except ConfigurationError:
            broken.append(name)
            continue
        number += store.clusters.reseal(name, sealed, vault.seal(name, login))
    return Resealed(number, tuple(broken))


def drop_key(file: Path, store: Store, vault: Vault) -> bool:
    """Remove the key of before; tell whether there was one.

    Raises:
        CallerError: something is still sealed with it, or with a key that is not known.
        HostError: the file cannot be removed.
    """
    if next_file(file).exists():
        raise CallerError(f"{next_file(file)} does not seal yet", hint="run the step reseal first")
    left = [name for name, sealed in _credentials(store) if not vault.is_current(name, sealed)]
    if left:
        names = ", ".join(left[:_SHOWN]) + (f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else "")
        raise CallerError(
            f"not sealed with the new key: {names}",
            hint="run the step reseal; a credential that no key opens: register its cluster anew with --replace",
        )
    try:
        found = old_file(file).exists()
        old_file(file).unlink(missing_ok=True)
        keep_names(file.parent)
    except OSError as err:
        raise HostError(f"{old_file(file)} cannot be removed: {err.strerror}", hint="remove it") from err
    return found


def rotate(file: Path, store: Store) -> Resealed:
    """Do all steps that are not done; for services that read these very files.

    Raises:
        CallerError, HostError, ConfigurationError: as the steps.
    """
    if not old_file(file).exists():
        add_key(file)
    promote_key(file)
    vault = Vault(file)
    done = reseal(store, vault)
    drop_key(file, store, vault)
    return done


def _credentials(store: Store) -> Iterator[tuple[str, bytes]]:
    """Give each cluster that has a credential, by name, as it is when its turn comes."""
    after = ""
    while True:
        page = store.clusters.list_names(after)
        for name in page.items:
            sealed = store.clusters.credential(name)
            if sealed is not None:
                yield name, sealed
        after = page.next
        if not after:
            return
