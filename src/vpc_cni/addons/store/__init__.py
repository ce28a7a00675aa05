"""Everything the service must not forget, in SQLite or PostgreSQL. The only user of SQLAlchemy and Alembic.

    store = Store(url)
    store.addons.get("prod", "vpc-cni")

All methods block, are safe for threads, and are one transaction each. What was asked for and cannot be is a
:class:`StoreRefusal`.
"""

import threading
import time
from collections.abc import Callable

from vpc_cni.addons.store.addons import Addons, Updates
from vpc_cni.addons.store.associations import Associations
from vpc_cni.addons.store.clusters import Clusters
from vpc_cni.addons.store.database import Database, sqlite_url
from vpc_cni.addons.store.history import KEPT_UPDATES
from vpc_cni.addons.store.leases import Lease, Leases
from vpc_cni.addons.store.looks import Look, Looks
from vpc_cni.addons.store.overview import Overview, read_overview
from vpc_cni.addons.store.pages import Page
from vpc_cni.addons.store.profiles import Profiles
from vpc_cni.addons.store.refusals import (
    AddonBusyError,
    AddonExistsError,
    AssociationExistsError,
    ClusterExistsError,
    ClusterInUseError,
    LeaseLostError,
    NoAddonError,
    NoAssociationError,
    NoClusterError,
    NoProfileError,
    NoResourceError,
    NoUpdateError,
    ProfileExistsError,
    StoreRefusal,
    TokenReusedError,
)
from vpc_cni.addons.store.requests import Requests
from vpc_cni.addons.store.tags import Tags
from vpc_cni.addons.store.tokens import Token

__all__ = [
    "KEPT_UPDATES",
    "AddonBusyError",
    "AddonExistsError",
    "AssociationExistsError",
    "ClusterExistsError",
    "ClusterInUseError",
    "Lease",
    "LeaseLostError",
    "Look",
    "NoAddonError",
    "NoAssociationError",
    "NoClusterError",
    "NoProfileError",
    "NoResourceError",
    "NoUpdateError",
    "Overview",
    "Page",
    "ProfileExistsError",
    "Store",
    "StoreRefusal",
    "Token",
    "TokenReusedError",
    "sqlite_url",
]


class Store:
    """One database, by what is kept in it.

    Attributes:
        work_waits: set when a request of this process left work behind; for workers, who clear it.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time, keep_updates: int = KEPT_UPDATES) -> None:
        """Open it; see :class:`~vpc_cni.addons.store.database.Database`.

        Args:
            keep_updates: how many finished updates of each add-on are remembered.
        """
        database = Database(url, clock=clock)
        self.clusters = Clusters(database)
        self.addons = Addons(database)
        self.updates = Updates(database)
        self.associations = Associations(database)
        self.profiles = Profiles(database)
        self.tags = Tags(database)
        self.work_waits = threading.Event()
        self.requests = Requests(database, self.work_waits, keep_updates=keep_updates)
        self.leases = Leases(database)
        self.looks = Looks(database)
        self._database = database

    def overview(self) -> Overview:
        return read_overview(self._database)

    def close(self) -> None:
        self._database.close()
