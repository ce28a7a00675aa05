"""EKS as the lifecycle sees it: one cluster's add-on, by plain values. Blocking; thin."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from vpc_cni.errors import CallerError, CloudError, NotFoundError
from vpc_cni.lifecycle.aws import AwsAccess, open_client, translated
from vpc_cni.lifecycle.records import (
    ADDON,
    Association,
    EksCluster,
    FargateProfile,
    ManagedAddon,
    OfferedVersion,
    Update,
    parse_addon,
    parse_cluster,
    parse_offer,
    parse_profile,
    parse_update,
)
from vpc_cni.lifecycle.requests import Change, create_members, update_members
from vpc_cni.manifests import Schema

_NO_ADDON, _NO_CLUSTER = "No addon: ", "No cluster found"


class Eks:
    """The add-on of one cluster. Every call raises what :func:`~vpc_cni.lifecycle.aws.translated` does.

    Args:
        cluster: its name in EKS; empty when only versions are asked for.
    """

    def __init__(self, access: AwsAccess, cluster: str) -> None:
        self._client = open_client("eks", access)
        self.cluster_name = cluster

    @property
    def region(self) -> str:
        return str(self._client.meta.region_name)

    def cluster(self) -> EksCluster:
        """Return the cluster.

        Raises:
            CallerError: there is none of that name.
        """
        try:
            return parse_cluster(self._call("describe_cluster", name=self.cluster_name)["cluster"])
        except NotFoundError as err:
            raise _no_cluster(err) from err

    def find_addon(self) -> ManagedAddon | None:
        """Return the add-on; None only when EKS itself says that there is none.

        Raises:
            CallerError: there is no such cluster.
        """
        try:
            return parse_addon(self._call("describe_addon", **self._names())["addon"])
        except NotFoundError as err:
            if _NO_ADDON in err.message:
                return None
            raise _no_cluster(err) from err

    def offers(self, kubernetes: str = "") -> tuple[OfferedVersion, ...]:
        """Return the versions offered to clusters of a Kubernetes version (empty: to any), in the order of EKS."""
        members = {"kubernetesVersion": kubernetes} if kubernetes else {}
        pages = self._pages("describe_addon_versions", addonName=ADDON, **members)
        addons = [addon for page in pages for addon in page.get("addons") or ()]
        return tuple(parse_offer(each) for addon in addons for each in addon.get("addonVersions") or ())

    def schema(self, version: str) -> str:
        """Return the JSON schema of a version's configuration values, as EKS writes it."""
        answer = self._call("describe_addon_configuration", addonName=ADDON, addonVersion=version)
        return str(answer["configurationSchema"])

    def find_schema(self, version: str) -> Schema | None:
        """Return the schema of a version's configuration values; None when EKS does not tell.

        So it is with a version that is installed, and offered no more.
        """
        try:
            found = json.loads(self.schema(version))
        except (CloudError, CallerError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def create(self, change: Change) -> ManagedAddon:
        members = create_members(self.cluster_name, change, str(uuid.uuid4()))
        return parse_addon(self._call("create_addon", **members)["addon"])

    def update(self, change: Change) -> Update:
        members = update_members(self.cluster_name, change, str(uuid.uuid4()))
        return parse_update(self._call("update_addon", **members)["update"])

    def delete(self, *, preserve: bool) -> ManagedAddon:
        return parse_addon(self._call("delete_addon", **self._names(), preserve=preserve)["addon"])

    def describe_update(self, identifier: str) -> Update:
        # Without the add-on's name the id is looked up among updates of the cluster.
        answer = self._call("describe_update", name=self.cluster_name, addonName=ADDON, updateId=identifier)
        return parse_update(answer["update"])

    def update_ids(self) -> tuple[str, ...]:
        """Return the ids of all updates of the add-on, in the order of EKS."""
        pages = self._pages("list_updates", name=self.cluster_name, addonName=ADDON)
        return tuple(str(each) for page in pages for each in page.get("updateIds") or ())

    def associations(self, addon: ManagedAddon) -> tuple[Association, ...]:
        """Return the pod identity associations that the add-on owns."""
        return tuple(self._association(arn.rpartition("/")[2]) for arn in addon.association_arns)

    def is_associated(self, service_account: str) -> bool:
        """Whether a service account of ``kube-system`` has an association, whoever owns it: it can have one only."""
        members = {"clusterName": self.cluster_name, "namespace": "kube-system", "serviceAccount": service_account}
        return any(page.get("associations") for page in self._pages("list_pod_identity_associations", **members))

    def _association(self, identifier: str) -> Association:
        answer = self._call(
            "describe_pod_identity_association", clusterName=self.cluster_name, associationId=identifier
        )["association"]
        return Association(str(answer["serviceAccount"]), str(answer["roleArn"]), identifier)

    def fargate_profiles(self) -> tuple[FargateProfile, ...]:
        pages = self._pages("list_fargate_profiles", clusterName=self.cluster_name)
        names = [str(name) for page in pages for name in page.get("fargateProfileNames") or ()]
        return tuple(parse_profile(self._profile(name)) for name in names)

    def _profile(self, name: str) -> dict[str, Any]:
        answer = self._call("describe_fargate_profile", clusterName=self.cluster_name, fargateProfileName=name)
        return dict(answer["fargateProfile"])

    def _names(self) -> dict[str, str]:
        return {"clusterName": self.cluster_name, "addonName": ADDON}

    def _call(self, operation: str, **members: Any) -> dict[str, Any]:
        with translated(_words(operation), operation):
            return dict(getattr(self._client, operation)(**members))

    def _pages(self, operation: str, **members: Any) -> Iterator[dict[str, Any]]:
        with translated(_words(operation), operation):
            yield from self._client.get_paginator(operation).paginate(**members)


def _words(operation: str) -> str:
    return operation.replace("_", " ")


def _no_cluster(err: NotFoundError) -> Exception:
    if _NO_CLUSTER not in err.message:
        return err
    return CallerError(err.message, hint="check --cluster-name, --region and --endpoint-url")
