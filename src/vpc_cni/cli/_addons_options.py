"""What the commands of ``vpc-cni addons`` share: options, and the store that they name."""

from pathlib import Path
from typing import Annotated

import typer

from vpc_cni.addons.server.options import STORE_FILE, store_url_of
from vpc_cni.addons.store import Store
from vpc_cni.errors import HostError

STATE_FOLDER = Path("/var/lib/vpc-cni-addons")

StateFolderOption = Annotated[
    Path, typer.Option("--state-folder", metavar="FOLDER", envvar="VPC_CNI_ADDONS_STATE", help="Keys, and the store.")
]
StoreOption = Annotated[
    str,
    typer.Option("--store", metavar="URL", envvar="VPC_CNI_ADDONS_STORE", help="Else SQLite in the state folder."),
]
SealKeyOption = Annotated[
    Path | None, typer.Option("--seal-key", metavar="FILE", help="Seals credentials; else in the state folder.")
]


def open_store(state_folder: Path, url: str) -> Store:
    """Open a store that is there: a wrong name must not look like a service without clusters.

    Raises:
        HostError: it is not there, or cannot be used.
        ConfigurationError: the URL is none.
    """
    if not url and not (state_folder / STORE_FILE).exists():
        raise HostError(
            f"there is no store in {state_folder}", hint="name the --state-folder or --store of the service"
        )
    return Store(store_url_of(state_folder, url))
