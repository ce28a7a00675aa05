"""The operations as data: name, method, path, handler. And from a request's raw path to one of them.

Paths are matched before they are decoded, since labels may hold encoded slashes: ``/tags/arn%3A...%2Fvpc-cni%2F...``.
A template's labels are named as the members that error bodies carry.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vpc_cni.addons.api import addons, associations, clusters, profiles, tags, updates, versions
from vpc_cni.addons.api.members import decode
from vpc_cni.addons.api.service import Call, Json
from vpc_cni.addons.errors import ApiError, BadRequestError, ClientError, InvalidParameterError, InvalidRequestError


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        path: a template; its last label may end with ``+``, then it also takes slashes that are not encoded.
        invalid: what tells that a member is not as it must be.
        is_repeatable: it takes a token, and answers the same request with the same answer.
    """

    name: str
    method: str
    path: str
    handle: Callable[[Call], Json]
    invalid: type[ApiError] = InvalidParameterError
    is_repeatable: bool = False


_CLUSTER = "/clusters/{clusterName}"
_ADDON = f"{_CLUSTER}/addons/{{addonName}}"
_UPDATE = f"{_CLUSTER}/updates/{{updateId}}"
_PROFILE = f"{_CLUSTER}/fargate-profiles/{{fargateProfileName}}"
_ASSOCIATIONS = f"{_CLUSTER}/pod-identity-associations"
_ASSOCIATION = f"{_ASSOCIATIONS}/{{associationId}}"
_TAGS = "/tags/{resourceArn+}"

OPERATIONS = (
    Operation("CreateAddon", "POST", f"{_CLUSTER}/addons", addons.create_addon, is_repeatable=True),
    Operation("DescribeAddon", "GET", _ADDON, addons.describe_addon),
    Operation("UpdateAddon", "POST", f"{_ADDON}/update", addons.update_addon, is_repeatable=True),
    Operation("DeleteAddon", "DELETE", _ADDON, addons.delete_addon),
    Operation("ListAddons", "GET", f"{_CLUSTER}/addons", addons.list_addons),
    Operation("DescribeAddonVersions", "GET", "/addons/supported-versions", versions.describe_addon_versions),
    Operation(
        "DescribeAddonConfiguration", "GET", "/addons/configuration-schemas", versions.describe_addon_configuration
    ),
    Operation("DescribeUpdate", "GET", _UPDATE, updates.describe_update),
    Operation("ListUpdates", "GET", f"{_CLUSTER}/updates", updates.list_updates),
    Operation("CancelUpdate", "POST", f"{_UPDATE}/cancel-update", updates.cancel_update),
    Operation("TagResource", "POST", _TAGS, tags.tag_resource, BadRequestError),
    Operation("UntagResource", "DELETE", _TAGS, tags.untag_resource, BadRequestError),
    Operation("ListTagsForResource", "GET", _TAGS, tags.list_tags, BadRequestError),
    Operation("DescribeCluster", "GET", _CLUSTER, clusters.describe_cluster, ClientError),
    Operation("ListClusters", "GET", "/clusters", clusters.list_clusters),
    Operation("CreateCluster", "POST", "/clusters", clusters.create_cluster),
    Operation("DeleteCluster", "DELETE", _CLUSTER, clusters.delete_cluster, InvalidRequestError),
    Operation(
        "UpdateClusterVersion", "POST", f"{_CLUSTER}/updates", clusters.update_cluster_version, is_repeatable=True
    ),
    Operation("DescribeClusterVersions", "GET", "/cluster-versions", versions.describe_cluster_versions),
    Operation(
        "CreateFargateProfile",
        "POST",
        f"{_CLUSTER}/fargate-profiles",
        profiles.create_profile,
        is_repeatable=True,
    ),
    Operation("DescribeFargateProfile", "GET", _PROFILE, profiles.describe_profile),
    Operation("ListFargateProfiles", "GET", f"{_CLUSTER}/fargate-profiles", profiles.list_profiles),
    Operation("DeleteFargateProfile", "DELETE", _PROFILE, profiles.delete_profile),
    Operation(
        "CreatePodIdentityAssociation", "POST", _ASSOCIATIONS, associations.create_association, is_repeatable=True
    ),
    Operation("DescribePodIdentityAssociation", "GET", _ASSOCIATION, associations.describe_association),
    Operation(
        "UpdatePodIdentityAssociation", "POST", _ASSOCIATION, associations.update_association, is_repeatable=True
    ),
    Operation("DeletePodIdentityAssociation", "DELETE", _ASSOCIATION, associations.delete_association),
    Operation("ListPodIdentityAssociations", "GET", _ASSOCIATIONS, associations.list_associations),
)


def find_operation(method: str, path: str) -> tuple[Operation, Mapping[str, str]] | None:
    """Return the operation of a request and its labels, still encoded; None when there is none. Pure."""
    segments = path.split("/")
    for operation, template in _TEMPLATES.get(method, ()):
        labels = _match(template, segments)
        if labels is not None:
            return operation, labels
    return None


def decode_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels as they were before the client encoded them.

    Raises:
        InputError: they are no text.
    """
    return {name: decode(value) for name, value in labels.items()}


def _match(template: list[str], segments: list[str]) -> dict[str, str] | None:
    if template[-1].endswith("+}") and len(segments) > len(template):
        segments = [*segments[: len(template) - 1], "/".join(segments[len(template) - 1 :])]
    if len(template) != len(segments):
        return None
    labels = {}
    for wanted, found in zip(template, segments, strict=True):
        if wanted.startswith("{") and found:
            labels[wanted.strip("{+}")] = found
        elif wanted != found:
            return None
    return labels


_TEMPLATES: dict[str, list[tuple[Operation, list[str]]]] = {
    method: [(each, each.path.split("/")) for each in OPERATIONS if each.method == method]
    for method in ("GET", "POST", "DELETE")
}
