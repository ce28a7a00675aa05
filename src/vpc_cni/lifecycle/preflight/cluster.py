"""Checks of what is in the cluster: rights of EKS, pod security policies, nodes. Pure."""

from collections.abc import Iterable, Sequence

from vpc_cni.cluster import Resource
from vpc_cni.lifecycle.nodes import NodeCounts
from vpc_cni.lifecycle.preflight.evaluation import matches
from vpc_cni.lifecycle.preflight.finding import Finding, failed, ok, skipped, warning
from vpc_cni.lifecycle.records import EksCluster, FargateProfile
from vpc_cni.manifests import KubernetesVersion, Manifest

BINDING = "eks:addon-cluster-admin"
_MANAGER = "eks:addon-manager"
POLICIES = Resource("policy", "v1beta1", "PodSecurityPolicy", "podsecuritypolicies", namespaced=False)
ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False)
# The last that has pod security policies.
LAST_WITH_POLICIES = KubernetesVersion(1, 24)
_ACCOUNT = "system:serviceaccount:kube-system:aws-node"
_GROUPS = ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"]


def check_binding(binding: Manifest | None) -> Finding:
    """Say whether EKS may act in the cluster."""
    remedy = f"bind ClusterRole cluster-admin to user {_MANAGER} as {BINDING}"
    if binding is None:
        return failed("rights of EKS", f"ClusterRoleBinding {BINDING} is gone", remedy)
    users = [each.get("name") for each in binding.get("subjects") or () if each.get("kind") == "User"]
    if binding.get("roleRef", {}).get("name") != "cluster-admin" or _MANAGER not in users:
        return failed("rights of EKS", f"ClusterRoleBinding {BINDING} was changed", remedy)
    return ok("rights of EKS", f"ClusterRoleBinding {BINDING}")


def check_server(server: str, cluster: EksCluster) -> Finding:
    """Say whether a kubeconfig leads to the cluster that EKS means: another's objects must not be planned with."""
    if not cluster.endpoint:
        return skipped("kubeconfig", "EKS does not tell the endpoint")
    if server.rstrip("/").lower() == cluster.endpoint.rstrip("/").lower():
        return ok("kubeconfig", server)
    return warning(
        "kubeconfig",
        f"it leads to {server}, EKS has {cluster.endpoint}",
        "make sure that both are the same cluster, such as by a tunnel",
    )


def access_review(policy: str) -> Manifest:
    """Return the question whether pods of ``aws-node`` may use a pod security policy."""
    attributes = {"group": POLICIES.group, "resource": POLICIES.plural, "name": policy, "verb": "use"}
    return {
        "apiVersion": ACCESS_REVIEWS.api_version,
        "kind": ACCESS_REVIEWS.kind,
        "spec": {
            "user": _ACCOUNT,
            "groups": _GROUPS,
            "resourceAttributes": {**attributes, "namespace": "kube-system"},
        },
    }


def is_sufficient(policy: Manifest) -> bool:
    """Whether pods of the add-on fit a policy: privileged, in the host's network, with its folders."""
    spec = policy.get("spec", {})
    volumes = set(spec.get("volumes") or ())
    return bool(spec.get("privileged") and spec.get("hostNetwork") and volumes & {"*", "hostPath"})


def check_policies(policies: Sequence[Manifest], usable: Iterable[str], kubernetes: KubernetesVersion) -> Finding:
    """Say whether pods of the add-on are admitted.

    Args:
        usable: names of the policies that its service account may use.
    """
    check = "pod security policy"
    if kubernetes > LAST_WITH_POLICIES:
        return skipped(check, f"Kubernetes {kubernetes} has none")
    if not policies:
        return ok(check, "there are none, so all pods are admitted unless the admission plugin is on")
    allowed = set(usable)
    fitting = sorted(
        str(each["metadata"]["name"])
        for each in policies
        if is_sufficient(each) and each["metadata"]["name"] in allowed
    )
    if not fitting:
        return failed(
            check,
            f"{_ACCOUNT} may use no privileged policy; there are {len(policies)}",
            "bring back eks.privileged, or let aws-node use a privileged policy by a ClusterRole and a RoleBinding",
        )
    return ok(check, f"{_ACCOUNT} may use {', '.join(fitting)}")


def check_nodes(nodes: NodeCounts, profiles: Sequence[FargateProfile]) -> Finding:
    """Say where the add-on will run."""
    selecting = [each.name for each in profiles if any(matches(one, "kube-system") for one in each.namespaces)]
    said = str(nodes) + (f"; Fargate profiles: {', '.join(each.name for each in profiles)}" if profiles else "")
    if nodes.ec2 == 0:
        return warning("nodes", said, "no node of EC2: the add-on becomes ACTIVE with nothing running")
    if selecting:
        return ok("nodes", f"{said}; DaemonSets do not run on Fargate, {', '.join(selecting)} changes nothing for it")
    return ok("nodes", said)
