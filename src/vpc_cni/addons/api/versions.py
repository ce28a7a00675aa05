"""What is offered: versions of the add-on, their configuration, versions of Kubernetes. All from the catalogue."""

from collections.abc import Sequence

from vpc_cni.addons import errors, names, rules
from vpc_cni.addons.api.members import Query
from vpc_cni.addons.api.paging import read_paging
from vpc_cni.addons.api.service import Call, Json, Service
from vpc_cni.manifests import KubernetesVersion, Offer, schema_text

# What a cluster version is called here: one that the service can deploy to, or one that it only knows of.
_SUPPORTED, _UNSUPPORTED = "STANDARD_SUPPORT", "UNSUPPORTED"
_OLD_STATUS = {_SUPPORTED: "standard-support", _UNSUPPORTED: "unsupported"}


def describe_addon_versions(call: Call) -> Json:
    """List the add-on with its versions, newest first; no add-on when nothing fits. It is one page at most."""
    service, query = call.service, call.query
    filters = {name: query.texts(name) for name in ("types", "publishers", "owners")}
    kubernetes, name = query.text("kubernetesVersion"), query.text("addonName")
    read_paging(query, call.operation, kubernetes, name, repr(filters))
    versions = _versions(service, kubernetes)
    addon = service.addon
    wanted = name in (None, addon.name) and all(
        not asked or value in asked
        for asked, value in zip(filters.values(), (addon.type, addon.publisher, addon.owner), strict=True)
    )
    return {"addons": [_addon(service, versions)] if wanted and versions else [], "nextToken": None}


def describe_addon_configuration(call: Call) -> Json:
    service, addon = call.service, call.service.addon
    if call.query.required("addonName") != addon.name:
        raise errors.addon_not_supported()
    version = rules.parse_version(call.query.required("addonVersion"))
    if version is None or version not in service.catalogue.addon_versions():
        raise errors.version_not_supported()
    policies = [names.managed_policy_arn(service.owner, policy) for policy in addon.managed_policies]
    identity = {"serviceAccount": addon.service_account, "recommendedManagedPolicies": policies}
    return {
        "addonName": addon.name,
        "addonVersion": str(version),
        "configurationSchema": schema_text(service.catalogue.find(version)),
        "podIdentityConfiguration": [identity] if version >= addon.pod_identity_since else [],
    }


def describe_cluster_versions(call: Call) -> Json:
    """List versions of Kubernetes, newest first. Days of release and support are not in the catalogue: null."""
    query = call.query
    asked = query.texts("clusterVersions")
    found = [each for each in _cluster_versions(call.service) if _is_wanted(each, query, asked)]
    identity = (query.text(name) for name in ("status", "versionStatus", "clusterType", "defaultOnly", "includeAll"))
    paging = read_paging(query, call.operation, repr(asked), *identity)
    start = next((at + 1 for at, each in enumerate(found) if each["clusterVersion"] == paging.after), 0)
    page = found[start : start + paging.limit]
    more = len(found) > start + paging.limit
    return {"clusterVersions": page, "nextToken": paging.token(page[-1]["clusterVersion"] if more else "")}


def _is_wanted(version: Json, query: Query, asked: Sequence[str]) -> bool:
    status = query.text("versionStatus") or query.text("status")
    everything = query.flag("includeAll") or bool(status) or bool(asked)
    return (
        (not asked or version["clusterVersion"] in asked)
        and (not status or status.upper().replace("-", "_") == version["versionStatus"])
        and (query.text("clusterType") or version["clusterType"]) == version["clusterType"]
        and (version["defaultVersion"] or not query.flag("defaultOnly"))
        and (everything or version["versionStatus"] != _UNSUPPORTED)
    )


def _cluster_versions(service: Service) -> list[Json]:
    catalogue = service.catalogue
    known = sorted({each for offer in catalogue.offers for each in offer.clusters}, reverse=True)
    supported = [each for each in known if catalogue.addon_versions(each)]
    return [_cluster_version(each, each in supported, each == supported[0]) for each in known]


def _cluster_version(version: KubernetesVersion, is_supported: bool, is_default: bool) -> Json:
    status = _SUPPORTED if is_supported else _UNSUPPORTED
    return {
        "clusterVersion": str(version),
        "clusterType": "eks",
        "defaultPlatformVersion": "eks.1",
        "defaultVersion": is_default,
        "releaseDate": None,
        "endOfStandardSupportDate": None,
        "endOfExtendedSupportDate": None,
        "status": _OLD_STATUS[status],
        "versionStatus": status,
        "kubernetesPatchVersion": None,
    }


def _versions(service: Service, kubernetes: str | None) -> list[Json]:
    catalogue = service.catalogue
    cluster = None if kubernetes is None else rules.parse_kubernetes(kubernetes)
    if kubernetes is not None and cluster is None:
        return []
    return [_version(catalogue.offer(each), cluster) for each in catalogue.addon_versions(cluster)]


def _version(offer: Offer, cluster: KubernetesVersion | None) -> Json:
    clusters = sorted(offer.clusters, reverse=True) if cluster is None else [cluster]
    return {
        "addonVersion": str(offer.version),
        "architecture": list(offer.architectures),
        "computeTypes": list(offer.compute_types),
        "compatibilities": [
            {
                "clusterVersion": str(each),
                "platformVersions": list(offer.platform_versions),
                "defaultVersion": each in offer.default_for,
            }
            for each in clusters
        ],
        "requiresConfiguration": offer.requires_configuration,
        "requiresIamPermissions": offer.requires_iam_permissions,
    }


def _addon(service: Service, versions: list[Json]) -> Json:
    addon = service.addon
    return {
        "addonName": addon.name,
        "type": addon.type,
        "addonVersions": versions,
        "publisher": addon.publisher,
        "owner": addon.owner,
        "marketplaceInformation": None,
        "defaultNamespace": addon.namespace,
    }
