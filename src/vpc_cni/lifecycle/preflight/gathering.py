"""Reads what the checks judge. Thin; what cannot be read is a check that was skipped, with the reason."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from vpc_cni.cluster import Reference, Resource
from vpc_cni.cluster.inventory import BINDINGS
from vpc_cni.errors import CallerError, CloudError, ConfigurationError, KubernetesError
from vpc_cni.lifecycle.iam import Iam, role_name
from vpc_cni.lifecycle.nodes import NODES, count_nodes
from vpc_cni.lifecycle.preflight.cluster import (
    ACCESS_REVIEWS,
    BINDING,
    LAST_WITH_POLICIES,
    POLICIES,
    access_review,
    check_binding,
    check_nodes,
    check_policies,
)
from vpc_cni.lifecycle.preflight.finding import Finding, failed, skipped
from vpc_cni.lifecycle.preflight.policies import check_actions
from vpc_cni.lifecycle.preflight.roles import (
    check_account,
    check_pod_trust,
    check_provider,
    check_trust,
    provider_arn,
)
from vpc_cni.lifecycle.records import EksCluster, FargateProfile
from vpc_cni.manifests import KubernetesVersion, Manifest


class Api(Protocol):
    """What is asked of the cluster; :class:`~vpc_cni.cluster.client.Cluster` is one."""

    def get(self, reference: Reference) -> Manifest | None: ...
    def list(self, resource: Resource) -> tuple[Manifest, ...]: ...
    def ask(self, resource: Resource, question: Manifest) -> Manifest: ...


def look_at_roles(
    iam: Iam, cluster: EksCluster, role_arn: str, version: str, associated: str = ""
) -> tuple[Finding, ...]:
    """Return what there is to say of provider and role; of the node's role nothing can be said from here.

    Args:
        associated: the role of a pod identity association, which wins over ``role_arn``; empty for none.
    """
    role_arn = associated or role_arn
    if not role_arn:
        role_checks = ("accounts", "OIDC provider", "role trust", "role policies")
        said = "no role is given: that of the nodes must have the policy"
        return tuple(skipped(each, said) for each in role_checks)
    role = role_name(role_arn)
    return (
        _guarded("accounts", lambda: check_account(cluster, iam.caller_account(), role_arn)),
        skipped("OIDC provider", "pod identity needs none")
        if associated
        else _guarded("OIDC provider", lambda: check_provider(cluster, iam.find_provider(provider_arn(cluster)))),
        _guarded("role trust", lambda: _trust(iam, cluster, role, by_association=bool(associated))),
        _guarded(
            "role policies",
            lambda: check_actions(iam.documents(role), iam.find_boundary(role), cluster, version),
        ),
    )


def _trust(iam: Iam, cluster: EksCluster, role: str, *, by_association: bool) -> Finding:
    document = iam.find_trust(role)
    if document is None:
        return failed("role trust", f"IAM has no role {role}", "create it, or name another one")
    return check_pod_trust(document) if by_association else check_trust(document, cluster)


def look_at_cluster(
    api: Api, kubernetes: KubernetesVersion, profiles: Callable[[], Sequence[FargateProfile]]
) -> tuple[Finding, ...]:
    """Return what there is to say of rights, policies and nodes. ``kubernetes`` is what really runs."""
    return (
        _guarded("rights of EKS", lambda: check_binding(api.get(Reference(BINDINGS, BINDING)))),
        _guarded("pod security policy", lambda: _policies(api, kubernetes)),
        _guarded("nodes", lambda: check_nodes(count_nodes(api.list(NODES)), profiles())),
    )


def _policies(api: Api, kubernetes: KubernetesVersion) -> Finding:
    policies = api.list(POLICIES) if kubernetes <= LAST_WITH_POLICIES else ()
    return check_policies(policies, _usable(api, policies), kubernetes)


def _usable(api: Api, policies: Iterable[Manifest]) -> Iterator[str]:
    for each in policies:
        name = str(each["metadata"]["name"])
        if api.ask(ACCESS_REVIEWS, access_review(name)).get("status", {}).get("allowed"):
            yield name


def _guarded(check: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except (CloudError, KubernetesError, ConfigurationError, CallerError) as err:
        return skipped(check, err.message, err.hint)
