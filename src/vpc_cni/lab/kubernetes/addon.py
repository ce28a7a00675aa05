"""The add-on as a lab's cluster gets it: its DaemonSet and what belongs to it, from the renderer. Pure.

Objects and privileges are those of any installation; the lab adds variables only: where its EC2 and STS are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vpc_cni.manifests import (
    Images,
    ImageSet,
    Profile,
    RenderOptions,
    packaged_catalogue,
    parse_addon_version,
    parse_kubernetes_version,
    parse_registry,
    plan_images,
    render,
)

Json = dict[str, Any]

# What container runtimes call images that come from no registry.
REGISTRY = "localhost"
FIELD_MANAGER = "vpc-cni-lab"
DAEMON_SET_PATH = "/apis/apps/v1/namespaces/kube-system/daemonsets/aws-node"
_COLLECTIONS = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ConfigMap": "configmaps",
    "CustomResourceDefinition": "customresourcedefinitions",
    "DaemonSet": "daemonsets",
    "ServiceAccount": "serviceaccounts",
}


@dataclass(frozen=True, slots=True)
class AddonPlace:
    """What differs between labs.

    Args:
        api_endpoint: URL of EC2 and STS as nodes see it.
        overrides: variables of the agent, over all others.
    """

    cluster_name: str
    region: str
    api_endpoint: str
    overrides: Mapping[str, str] = field(default_factory=dict)


def find_profile(version: str, kubernetes_version: str) -> Profile:
    """Return how a version looks; an empty ``version`` is the newest that the cluster runs.

    Args:
        kubernetes_version: as programs print it, for example ``v1.20.2``.

    Raises:
        CallerError: there is no such version.
        ConfigurationError: it does not run on this cluster.
    """
    catalogue = packaged_catalogue()
    kubernetes = parse_kubernetes_version(kubernetes_version)
    if not version:
        return catalogue.default_profile(kubernetes)
    profile = catalogue.find(parse_addon_version(version), kubernetes)
    catalogue.check(profile, kubernetes)
    return profile


def addon_objects(profile: Profile, place: AddonPlace) -> tuple[Json, ...]:
    """Return the objects of the installation, in the order to apply them.

    Raises:
        ConfigurationError: a variable is wrong, or asks for what is not built.
    """
    env = {
        "AWS_REGION": place.region,
        "AWS_EC2_ENDPOINT": place.api_endpoint,
        "AWS_ENDPOINT_URL_STS": place.api_endpoint,
        "CLUSTER_NAME": place.cluster_name,
        **place.overrides,
    }
    return render(profile, RenderOptions(addon_images(profile), env=env)).objects


def addon_images(profile: Profile) -> Images:
    """Return the names of the images that a version's objects ask for."""
    return plan_images(profile, ImageSet.OWN, parse_registry(REGISTRY))


def object_path(document: Json) -> str:
    """Return the path of an object of :func:`addon_objects` in the API."""
    version, kind, metadata = document["apiVersion"], document["kind"], document["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{namespace}/{_COLLECTIONS[kind]}/{metadata['name']}"


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far a DaemonSet is; ``is_seen`` tells whether its controller has read what was applied last."""

    is_seen: bool
    wanted: int
    updated: int
    available: int

    @property
    def is_complete(self) -> bool:
        return self.is_seen and self.updated == self.available == self.wanted

    def __str__(self) -> str:
        return f"aws-node: {self.updated} of {self.wanted} nodes have the new pod, {self.available} serve"


def read_rollout(daemon_set: Json) -> Rollout:
    """Return how far the roll-out of a live DaemonSet is."""
    status = daemon_set.get("status", {})
    return Rollout(
        is_seen=status.get("observedGeneration", 0) >= daemon_set["metadata"]["generation"],
        wanted=status.get("desiredNumberScheduled", 0),
        updated=status.get("updatedNumberScheduled", 0),
        available=status.get("numberAvailable", 0),
    )
