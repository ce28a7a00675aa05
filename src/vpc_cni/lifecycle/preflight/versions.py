"""Checks of cluster, version, path and values. Pure.

Sources: Amazon EKS user guide, page on the add-on; releases of the reference (conflist versions).
"""

from collections.abc import Collection, Sequence

from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.lifecycle.preflight.finding import Finding, failed, ok, skipped, warning
from vpc_cni.lifecycle.records import UNDER_WAY, EksCluster, ManagedAddon
from vpc_cni.lifecycle.target import read_values
from vpc_cni.lifecycle.versions import restriction
from vpc_cni.manifests import AddonVersion, Catalogue, KubernetesVersion, Schema, parse_addon_version

_IPV6_SINCE = AddonVersion(1, 10, 1)
_POLICY_SINCE = AddonVersion(1, 14, 0)
_POLICY_KUBERNETES = KubernetesVersion(1, 25)
_POD_IDENTITY_SINCE = AddonVersion(1, 15, 5, 1)


def check_cluster(cluster: EksCluster) -> Finding:
    if cluster.status not in ("ACTIVE", "UPDATING"):
        return failed("cluster", f"it is {cluster.status}", "wait until it is ACTIVE")
    said = f"{cluster.status}, Kubernetes {cluster.version}, {cluster.ip_family}"
    if cluster.auto_mode:
        return warning("cluster", f"{said}, Auto Mode", "nodes of Auto Mode do not use the add-on")
    return ok("cluster", said)


def check_settled(addon: ManagedAddon | None) -> Finding:
    """Say whether EKS is free to change the add-on."""
    if addon is None:
        return ok("add-on", "EKS has none: it would be created")
    if addon.status in UNDER_WAY:
        return failed("add-on", f"it is {addon.status}, and EKS refuses changes", "wait until that has ended")
    if addon.issues:
        return warning("add-on", "; ".join(map(str, addon.issues)), "see docs/runbook.md")
    return ok("add-on", f"{addon.version}, {addon.status}")


def check_version(version: str, offered: Collection[str], cluster: EksCluster, catalogue: Catalogue) -> Finding:
    """Say whether a version is offered to the cluster and runs on it."""
    parsed = parse_addon_version(version)
    if version not in offered:
        return failed(
            "version", f"{version} is not offered to Kubernetes {cluster.version}", "choose one of `versions`"
        )
    refused = restriction(catalogue, parsed, cluster.version)
    if refused:
        return failed("version", refused, "choose another version, or update the cluster first")
    if cluster.ip_family == "ipv6" and parsed.release < _IPV6_SINCE:
        return failed("version", f"{version} has no IPv6, and this cluster is of it", f"take {_IPV6_SINCE} or later")
    return ok("version", f"{version} runs on Kubernetes {cluster.version}")


def check_path(steps: Sequence[str], current: ManagedAddon | None) -> Finding:
    if current is None or len(steps) == 1:
        return ok("path", steps[-1])
    return warning("path", f"{current.version} -> {' -> '.join(steps)}", "`update` goes step by step")


def check_values(
    check: str,
    text: str | None,
    version: str,
    cluster: EksCluster,
    catalogue: Catalogue,
    *,
    schema: Schema | None = None,
) -> Finding:
    """Say whether values fit a version's schema, formats included, and what is not built for its clusters.

    ``schema`` is what EKS says; without it that of the catalogue counts, and a version that it does not have cannot be
    checked.
    """
    if text is None:
        return ok(check, "none")
    try:
        parsed = parse_addon_version(version)
        profile = catalogue.find(parsed) if schema is None else catalogue.approximate(parsed).profile
    except CallerError as err:
        return skipped(check, err.message, "EKS checks them against its own schema")
    try:
        configuration = read_values(text, profile, schema)
    except (ConfigurationError, CallerError) as err:
        return failed(check, err.message, "`schema` shows what is allowed")
    if configuration.network_policy and (
        profile.version.release < _POLICY_SINCE or cluster.kubernetes < _POLICY_KUBERNETES
    ):
        return failed(
            check,
            f"enableNetworkPolicy needs {_POLICY_SINCE} and Kubernetes {_POLICY_KUBERNETES}",
            "leave it out, or update first",
        )
    return ok(check, f"they fit {version}")


def check_pod_identity(version: str, count: int) -> Finding:
    """Say whether a version takes the pod identity associations that the add-on has."""
    if not count:
        return ok("pod identity", "no associations")
    if parse_addon_version(version) < _POD_IDENTITY_SINCE:
        return failed("pod identity", f"{version} takes no associations", f"take {_POD_IDENTITY_SINCE} or later")
    return ok("pod identity", f"{count} associations; the add-on keeps them, and they win over its role")
