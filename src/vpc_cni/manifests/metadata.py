"""Names and labels that tools in the field look for; the same for both image sets. Pure."""

from collections.abc import Mapping

from vpc_cni.manifests.definitions import Manifest
from vpc_cni.manifests.profile import Profile

NAME = "aws-node"
NAMESPACE = "kube-system"
CONFIG_MAP_NAME = "amazon-vpc-cni"

# The original selector. It is immutable, so any other would stop manifests from following Helm, or the reverse.
SELECTOR = {"k8s-app": NAME}
POD_LABELS = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": "aws-vpc-cni", **SELECTOR}


def metadata(
    profile: Profile, *, namespaced: bool, name: str = NAME, annotations: Mapping[str, str] | None = None
) -> Manifest:
    """Return the metadata of one of the add-on's objects; the version label is that of the release."""
    return {
        "name": name,
        **({"namespace": NAMESPACE} if namespaced else {}),
        "labels": {**POD_LABELS, "app.kubernetes.io/version": str(profile.version.release)},
        **({"annotations": dict(annotations)} if annotations else {}),
    }
