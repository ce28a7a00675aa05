"""Connections to registered clusters: opened when first asked for, and kept."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from vpc_cni.addons.clusters.vault import Vault
from vpc_cni.addons.store import NoClusterError, Store
from vpc_cni.addons.work.steps import Reach, Step, ignore_step
from vpc_cni.cluster.client import Cluster
from vpc_cni.cluster.inventory import Reference
from vpc_cni.manifests import Manifest

# As whom the service applies objects: found in their managedFields.
FIELD_MANAGER = "eks"
_KEPT = 512


class SteppingCluster(Cluster):
    """A cluster that reaches a step after each write, for the tests that kill the service there."""

    reach: Reach = staticmethod(ignore_step)

    def apply(self, manifest: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest:
        applied = super().apply(manifest, force=force, dry_run=dry_run)
        if not dry_run:
            self.reach(Step.OBJECT_WRITTEN)
        return applied

    def patch_json(
        self, reference: Reference, operations: tuple[Mapping[str, Any], ...], *, dry_run: bool = False
    ) -> Manifest:
        patched = super().patch_json(reference, operations, dry_run=dry_run)
        if not dry_run:
            self.reach(Step.OBJECT_WRITTEN)
        return patched

    def delete(self, reference: Reference) -> None:
        super().delete(reference)
        self.reach(Step.OBJECT_WRITTEN)


class StoredConnections:
    """Opens clusters with what the store and the vault have of them. Safe for threads, as its clusters are."""

    def __init__(self, store: Store, vault: Vault, reach: Reach = ignore_step) -> None:
        self._store = store
        self._vault = vault
        self._reach = reach
        self._open: OrderedDict[str, tuple[bytes, Cluster]] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, name: str) -> Cluster:
        """Return a connection; nothing is sent.

        Raises:
            NoClusterError: it is not registered (any more).
            ConfigurationError: its credential cannot be opened or used.
        """
        sealed = self._store.clusters.credential(name)
        if sealed is None:
            raise NoClusterError(name)
        digest = hashlib.sha256(sealed).digest()
        with self._lock:
            found = self._open.get(name)
            if found is not None and found[0] == digest:
                self._open.move_to_end(name)
                return found[1]
        cluster = SteppingCluster(self._vault.open(name, sealed), field_manager=FIELD_MANAGER)
        cluster.reach = self._reach
        with self._lock:
            self._open[name] = (digest, cluster)
            if len(self._open) > _KEPT:
                # Not closed, another thread may be using it: its sockets go with the last who does.
                self._open.popitem(last=False)
        return cluster
