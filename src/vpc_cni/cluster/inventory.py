"""Which objects in a cluster belong to the add-on, and what was found of them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vpc_cni.errors import InternalError
from vpc_cni.manifests import Manifest, name_of

NAMESPACE = "kube-system"
# As whom this project applies objects; found in their managedFields.
FIELD_MANAGER = "vpc-cni"
AGENT = "aws-node"
CONFIG_MAP = "amazon-vpc-cni"
POD_SELECTOR = {"k8s-app": AGENT}


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object as the API serves it; ``group`` is empty for core."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


DEFINITIONS = Resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False)
SERVICE_ACCOUNTS = Resource("", "v1", "ServiceAccount", "serviceaccounts", True)
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", True)
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", False)
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", False)
DAEMON_SETS = Resource("apps", "v1", "DaemonSet", "daemonsets", True)
ENI_CONFIGS = Resource("crd.k8s.amazonaws.com", "v1alpha1", "ENIConfig", "eniconfigs", False)
PODS = Resource("", "v1", "Pod", "pods", True)
SECRETS = Resource("", "v1", "Secret", "secrets", True)

_RESOURCES = (
    DEFINITIONS,
    SERVICE_ACCOUNTS,
    CONFIG_MAPS,
    CLUSTER_ROLES,
    BINDINGS,
    DAEMON_SETS,
    ENI_CONFIGS,
    PODS,
    SECRETS,
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One object by name. All namespaced objects of the add-on live in ``kube-system``."""

    resource: Resource
    name: str

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.name}"


DAEMON_SET = Reference(DAEMON_SETS, AGENT)
# In the order to apply them. ENIConfigs come after these; their number and names are the operator's.
ADDON_OBJECTS = (
    Reference(DEFINITIONS, "eniconfigs.crd.k8s.amazonaws.com"),
    Reference(DEFINITIONS, "policyendpoints.networking.k8s.aws"),
    Reference(SERVICE_ACCOUNTS, AGENT),
    Reference(CONFIG_MAPS, CONFIG_MAP),
    Reference(CLUSTER_ROLES, AGENT),
    Reference(BINDINGS, AGENT),
    DAEMON_SET,
)


def reference_of(manifest: Manifest) -> Reference:
    """Return where an object of the add-on lives in the API.

    Raises:
        InternalError: it is of a kind that the add-on has not.
    """
    name = name_of(manifest)
    for resource in _RESOURCES:
        if (resource.group, resource.kind) == (name.group, name.kind):
            return Reference(resource, name.name)
    raise InternalError(f"{name} is no object of the add-on")


@dataclass(frozen=True, slots=True)
class Inventory:
    """The add-on's objects as the API server showed them, whole; what does not exist is not in it."""

    objects: tuple[Manifest, ...] = ()

    def find(self, reference: Reference) -> Manifest | None:
        return next((each for each in self.objects if reference_of(each) == reference), None)

    @property
    def daemon_set(self) -> Manifest | None:
        return self.find(DAEMON_SET)


def pod_spec(daemon_set: Manifest) -> Manifest:
    """Return the pod template's specification; empty where there is none."""
    spec: Manifest = daemon_set.get("spec", {}).get("template", {}).get("spec", {})
    return spec


def containers(daemon_set: Manifest) -> tuple[Manifest, ...]:
    """Return init containers, then containers."""
    spec = pod_spec(daemon_set)
    return (*spec.get("initContainers", ()), *spec.get("containers", ()))


def find_container(daemon_set: Manifest, name: str) -> Manifest | None:
    return find_named(containers(daemon_set), name)


def find_named(items: Iterable[Any], name: str) -> Manifest | None:
    """Return the last item of a name: with duplicates, that is the one which counts for kubelet."""
    found: Manifest | None = None
    for item in items:
        if item.get("name") == name:
            found = item
    return found
