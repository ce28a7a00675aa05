"""Connections to registered clusters: opened when first asked for, and kept."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from vpc_cni.addons.clusters.vault import Vault
from vpc_cni.addons.store import NoClusterError, Store
from vpc_cni.addons.work.steps import Reach, Step, ignore_step
from vpc_cni.cluster.client import Cluster
from vpc_cni.cluster.inventory import Reference, Resource
from vpc_cni.manifests import Manifest

# As whom the service applies objects: found in their managedFields.
FIELD_MANAGER = "eks"
_KEPT = 512


class GuardedCluster:
    """A cluster in the hands of one worker, which asks before each write whether it still may.

    Args:
        before_write: keeps a write from happening by what it raises.
        reach: hears of each write that was done, for the tests that kill the service there.
    """

    def __init__(self, cluster: Cluster, before_write: Callable[[], None], reach: Reach) -> None:
        self._cluster = cluster
        self._before_write = before_write
        self._reach = reach

    @property
    def field_manager(self) -> str:
        return self._cluster.field_manager

    def get(self, reference: Reference) -> Manifest | None:
        return self._cluster.get(reference)

    def list(self, resource: Resource, labels: Mapping[str, str] | None = None) -> tuple[Manifest, ...]:
        return self._cluster.list(resource, labels)

    def apply(self, manifest: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest:
        with self._writing(dry_run):
            return self._cluster.apply(manifest, force=force, dry_run=dry_run)

    def patch_json(
        self, reference: Reference, operations: tuple[Mapping[str, Any], ...], *, dry_run: bool = False
    ) -> Manifest:
        with self._writing(dry_run):
            return self._cluster.patch_json(reference, operations, dry_run=dry_run)

    def delete(self, reference: Reference) -> None:
        with self._writing():
            self._cluster.delete(reference)

    @contextmanager
    def _writing(self, dry_run: bool = False) -> Iterator[None]:
        if dry_run:
            yield
            return
        self._before_write()
        yield
        self._reach(Step.OBJECT_WRITTEN)


class StoredConnections:
    """Opens clusters with what the store and the vault have of them. Safe for threads, as its clusters are."""

    def __init__(self, store: Store, vault: Vault, reach: Reach = ignore_step) -> None:
        self._store = store
        self._vault = vault
        self._reach = reach
        self._open: OrderedDict[str, tuple[bytes, Cluster]] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, name: str, before_write: Callable[[], None]) -> GuardedCluster:
        """Return a cluster for one worker, over a connection that others may use too; nothing is sent.

        Raises:
            NoClusterError: it is not registered (any more).
            ConfigurationError: its credential cannot be opened or used.
        """
        return GuardedCluster(self._connect(name), before_write, self._reach)

    def _connect(self, name: str) -> Cluster:
        sealed = self._store.clusters.credential(name)
        if sealed is None:
            raise NoClusterError(name)
        digest = hashlib.sha256(sealed).digest()
        with self._lock:
            found = self._open.get(name)
            if found is not None and found[0] == digest:
                self._open.move_to_end(name)
                return found[1]
        cluster = Cluster(self._vault.open(name, sealed), field_manager=FIELD_MANAGER)
        with self._lock:
            self._open[name] = (digest, cluster)
            if len(self._open) > _KEPT:
                # Not closed, another thread may be using it: its sockets go with the last who does.
                self._open.popitem(last=False)
        return cluster
