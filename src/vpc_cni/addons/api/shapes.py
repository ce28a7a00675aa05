"""Records as the API shows them: shapes of the service model, in the real service's order, null for what is absent.

Pure. Times are seconds since the epoch, with fractions.
"""

from collections.abc import Sequence

from vpc_cni.addons import names
from vpc_cni.addons.api.service import Json
from vpc_cni.addons.model import (
    AddonRecord,
    Association,
    ClusterRecord,
    FargateProfile,
    Issue,
    Owner,
    UpdateRecord,
)
from vpc_cni.addons.states import HEALTH_ONLY


def addon_shape(owner: Owner, record: AddonRecord) -> Json:
    associations = [names.association_arn(owner, record.cluster, each) for each in record.associations]
    return {
        "addonName": record.name,
        "clusterName": record.cluster,
        "status": record.status.value,
        "addonVersion": record.version,
        "health": {"issues": [_issue(each) for each in record.issues]},
        "addonArn": names.addon_arn(owner, record.cluster, record.name, record.uid),
        "createdAt": _time(record.created_at),
        "modifiedAt": _time(record.modified_at),
        "serviceAccountRoleArn": record.role_arn,
        "tags": dict(record.tags),
        "publisher": None,
        "owner": None,
        "marketplaceInformation": None,
        "configurationValues": record.configuration_values,
        "podIdentityAssociations": associations or None,
        "namespaceConfig": None,
    }


def update_shape(record: UpdateRecord) -> Json:
    return {
        "id": record.id,
        "status": record.status.value,
        "type": record.type,
        "params": [{"type": type_, "value": value} for type_, value in record.params],
        "createdAt": _time(record.created_at),
        "errors": [_update_error(each) for each in record.errors],
        "cancellation": None,
    }


def cluster_shape(owner: Owner, record: ClusterRecord) -> Json:
    network = record.network
    is_ipv6 = network.family == "ipv6"
    return {
        "name": record.name,
        "arn": names.cluster_arn(owner, record.name),
        "createdAt": _time(record.created_at),
        "version": record.version,
        "endpoint": record.endpoint,
        "roleArn": record.role_arn or None,
        "resourcesVpcConfig": {
            "subnetIds": list(network.subnet_ids),
            "securityGroupIds": list(network.security_group_ids),
            "clusterSecurityGroupId": None,
            "vpcId": network.vpc_id or None,
            "endpointPublicAccess": True,
            "endpointPrivateAccess": False,
            "publicAccessCidrs": ["0.0.0.0/0"],
        },
        "kubernetesNetworkConfig": {
            "serviceIpv4Cidr": None if is_ipv6 else network.service_cidr,
            "serviceIpv6Cidr": network.service_cidr if is_ipv6 else None,
            "ipFamily": network.family,
        },
        "logging": None,
        "identity": {"oidc": {"issuer": record.issuer}} if record.issuer else None,
        "status": record.status,
        "certificateAuthority": {"data": record.certificate_authority},
        "clientRequestToken": None,
        "platformVersion": record.platform_version,
        "tags": dict(record.tags),
        "encryptionConfig": None,
        "health": {"issues": []},
    }


def profile_shape(owner: Owner, record: FargateProfile, status: str = "") -> Json:
    """Return a Fargate profile; ``status`` takes the place of the record's."""
    return {
        "fargateProfileName": record.name,
        "fargateProfileArn": names.profile_arn(owner, record.cluster, record.name, record.uid),
        "clusterName": record.cluster,
        "createdAt": _time(record.created_at),
        "podExecutionRoleArn": record.pod_execution_role_arn,
        "subnets": list(record.subnets),
        "selectors": [{"namespace": each.namespace, "labels": dict(each.labels)} for each in record.selectors],
        "status": status or record.status,
        "tags": dict(record.tags),
        "health": {"issues": []},
    }


def association_shape(owner: Owner, record: Association) -> Json:
    return {
        "clusterName": record.cluster,
        "namespace": record.namespace,
        "serviceAccount": record.service_account,
        "roleArn": record.role_arn,
        "associationArn": names.association_arn(owner, record.cluster, record.id),
        "associationId": record.id,
        "tags": dict(record.tags),
        "createdAt": _time(record.created_at),
        "modifiedAt": _time(record.modified_at),
        "ownerArn": record.owner or None,
        "disableSessionTags": False,
        "targetRoleArn": None,
        "externalId": None,
    }


def association_summary(owner: Owner, record: Association) -> Json:
    shape = association_shape(owner, record)
    kept = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId", "ownerArn")
    return {name: shape[name] for name in kept}


def _issue(issue: Issue) -> Json:
    return {"code": issue.code.value, "message": issue.message, "resourceIds": _texts(issue.resource_ids)}


def _update_error(issue: Issue) -> Json:
    code = "Unknown" if issue.code in HEALTH_ONLY else issue.code.value
    return {"errorCode": code, "errorMessage": issue.message, "resourceIds": _texts(issue.resource_ids)}


def _texts(texts: Sequence[str]) -> list[str] | None:
    return list(texts) or None


def _time(seconds: float) -> float:
    return round(seconds, 3)
