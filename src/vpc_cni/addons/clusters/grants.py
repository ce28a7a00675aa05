"""What registration makes in a cluster: who may act as the add-on manager, and what that one may do. Pure.

As on EKS, the user ``eks:addon-manager`` is administrator by the binding ``eks:addon-cluster-admin``: removing it takes
all rights away. The service logs in as a service account that has one right, to impersonate that user.
"""

from vpc_cni.cluster.inventory import BINDINGS, CLUSTER_ROLES, NAMESPACE, SECRETS, SERVICE_ACCOUNTS, Reference
from vpc_cni.manifests import Manifest

MANAGER = "eks:addon-manager"
MANAGER_BINDING = "eks:addon-cluster-admin"
ACCOUNT = "vpc-cni-addons"
TOKEN_SECRET = Reference(SECRETS, f"{ACCOUNT}-token")
_RBAC = "rbac.authorization.k8s.io"
_LABELS = {"app.kubernetes.io/managed-by": "vpc-cni"}


def manager_binding() -> Manifest:
    """Return the binding that EKS has in each of its clusters."""
    user = {"apiGroup": _RBAC, "kind": "User", "name": MANAGER}
    return _binding(MANAGER_BINDING, "cluster-admin", user)


def account_objects() -> tuple[Manifest, ...]:
    """Return the service account, its one right, and the secret in which Kubernetes puts its token.

    A secret of this kind works on all versions; tokens by request came later, and end.
    """
    impersonate = {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": [MANAGER]}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    return (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(ACCOUNT, NAMESPACE)},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": _metadata(ACCOUNT),
            "rules": [impersonate],
        },
        _binding(ACCOUNT, ACCOUNT, subject),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                **_metadata(TOKEN_SECRET.name, NAMESPACE),
                "annotations": {"kubernetes.io/service-account.name": ACCOUNT},
            },
            "type": "kubernetes.io/service-account-token",
        },
    )


def granted() -> tuple[Reference, ...]:
    """Return all of it, in the order to delete."""
    return (
        TOKEN_SECRET,
        Reference(BINDINGS, ACCOUNT),
        Reference(CLUSTER_ROLES, ACCOUNT),
        Reference(SERVICE_ACCOUNTS, ACCOUNT),
        Reference(BINDINGS, MANAGER_BINDING),
    )


def _binding(name: str, role: str, subject: Manifest) -> Manifest:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": _metadata(name),
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


def _metadata(name: str, namespace: str = "") -> Manifest:
    where = {"namespace": namespace} if namespace else {}
    return {"name": name, **where, "labels": _LABELS}
