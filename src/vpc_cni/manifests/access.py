"""Who the agent is to the API server: ServiceAccount, ClusterRole, ClusterRoleBinding. Pure."""

from collections.abc import Iterable, Mapping

from vpc_cni.manifests.definitions import Manifest
from vpc_cni.manifests.images import ImageSet
from vpc_cni.manifests.metadata import NAME, NAMESPACE, metadata
from vpc_cni.manifests.privileges import TRUE_TEXTS
from vpc_cni.manifests.profile import PolicyRule, Profile

ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"

# What the agent of this project asks for: less than the reference, since it watches its own node only and reads no
# objects of modes that are not built. Each rule has its reason; a contract test shows that each verb is needed.
OWN_RULES = (
    # Is the node cordoned, and how many pods may run here.
    PolicyRule(("",), ("nodes",), ("list", "watch")),
    # An Event about a pod names its uid, which kubelet did not always give to plugins.
    PolicyRule(("",), ("pods",), ("get",)),
    # Why a pod waits for an address.
    PolicyRule(("",), ("events",), ("create", "patch")),
)
# ANNOTATE_POD_IP writes vpc.amazonaws.com/pod-ips. In the reference operators add this rule by hand.
ANNOTATE_RULE = PolicyRule(("",), ("pods",), ("patch",))


def service_account(profile: Profile, role_arn: str) -> Manifest:
    """Return the account; ``role_arn`` names its IAM role, empty for the node's."""
    annotations = {ROLE_ANNOTATION: role_arn} if role_arn else {}
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(profile, namespaced=True, annotations=annotations),
    }


def cluster_role(profile: Profile, rules: Iterable[PolicyRule]) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": metadata(profile, namespaced=False),
        "rules": [
            {"nonResourceURLs": list(rule.urls), "verbs": list(rule.verbs)}
            if rule.urls
            else {"apiGroups": list(rule.groups), "resources": list(rule.resources), "verbs": list(rule.verbs)}
            for rule in rules
        ],
    }


def cluster_role_binding(profile: Profile) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": metadata(profile, namespaced=False),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }


def plan_rules(profile: Profile, image_set: ImageSet, env: Mapping[str, str]) -> tuple[PolicyRule, ...]:
    """Return what the agent of an image set may do; ``env`` holds the variables of container ``aws-node``."""
    if image_set is ImageSet.AWS:
        return profile.rules
    return (*OWN_RULES, ANNOTATE_RULE) if env.get("ANNOTATE_POD_IP") in TRUE_TEXTS else OWN_RULES
