"""``vpc-cni addons rotate-seal-key``: another key for the stored credentials, while the services go on."""

import enum
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from vpc_cni.addons.clusters import Resealed, Vault, add_key, drop_key, promote_key, reseal, rotate
from vpc_cni.addons.server.options import SEAL_KEY_FILE
from vpc_cni.addons.store import Store
from vpc_cni.cli._addons_options import STATE_FOLDER, SealKeyOption, StateFolderOption, StoreOption, open_store
from vpc_cni.errors import CallerError


class Step(enum.StrEnum):
    """How far to go in one run."""

    ALL = "all"
    ADD = "add"
    RESEAL = "reseal"
    DROP = "drop"


def rotate_seal_key(
    *,
    step: Annotated[
        Step | None, typer.Option(help="Of a rotation; all by default, where all services read this very file.")
    ] = None,
    state_folder: StateFolderOption = STATE_FOLDER,
    store: StoreOption = "",
    seal_key: SealKeyOption = None,
) -> None:
    """Seal the clusters' credentials with a new key. May be killed and run again; services go on meanwhile."""
    if step is None and store and not store.startswith("sqlite"):
        raise CallerError(
            "replicas on other machines would not have the new key",
            hint="go by --step add, reseal and drop (see the manual), or --step all if every replica reads this file",
        )
    opened = open_store(state_folder, store)
    try:
        typer.echo(_STEPS[step or Step.ALL](seal_key or state_folder / SEAL_KEY_FILE, opened))
    finally:
        opened.close()


def _all(file: Path, store: Store) -> str:
    return f"{_resealed(rotate(file, store))}; the old key is gone"


def _add(file: Path, _store: Store) -> str:
    return f"{add_key(file)} is the new key: copy it to each replica beside the key in use, then run --step reseal"


def _reseal(file: Path, store: Store) -> str:
    promote_key(file)
    return f"{_resealed(reseal(store, Vault(file)))}; now run --step drop"


def _drop(file: Path, store: Store) -> str:
    if not drop_key(file, store, Vault(file)):
        return "there is no old key"
    return f"the old key is gone; on each other replica rename {file.name}.next to {file.name}"


def _resealed(done: Resealed) -> str:
    if done.broken:
        raise CallerError(
            f"no key opens the credential of {', '.join(done.broken)}; {done.number} others were sealed anew",
            hint="register these clusters anew with --replace, then run this again",
        )
    return f"sealed {done.number} with the new key"


_STEPS: Mapping[Step, Callable[[Path, Store], str]] = {
    Step.ALL: _all,
    Step.ADD: _add,
    Step.RESEAL: _reseal,
    Step.DROP: _drop,
}
