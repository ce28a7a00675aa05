"""Asking an API server what an apply would come to. Changes nothing."""

from collections.abc import Mapping
from typing import Any, Protocol

from vpc_cni.cluster.inventory import Reference, Resource
from vpc_cni.manifests import Manifest


class Api(Protocol):
    """What is needed of a cluster; :class:`~vpc_cni.cluster.client.Cluster` is one.

    ``field_manager`` is as whom objects are applied. Every call raises KubernetesError when it fails.
    """

    @property
    def field_manager(self) -> str: ...
    def get(self, reference: Reference) -> Manifest | None: ...
    def list(self, resource: Resource, labels: Mapping[str, str] | None = None) -> tuple[Manifest, ...]: ...
    def apply(self, manifest: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest: ...
    def patch_json(
        self, reference: Reference, operations: tuple[Mapping[str, Any], ...], *, dry_run: bool = False
    ) -> Manifest: ...
    def delete(self, reference: Reference) -> None: ...
