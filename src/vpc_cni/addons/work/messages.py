"""Issues that the workers find themselves, and what errors of clusters mean as issues. Pure."""

from vpc_cni.addons.model import Issue, IssueCode
from vpc_cni.errors import KubernetesDeniedError, KubernetesError, KubernetesUnreachableError, VpcCniError

_SERVER_ERRORS = 500

NO_REPLICAS = Issue(
    IssueCode.INSUFFICIENT_NUMBER_OF_REPLICAS,
    "The add-on is unhealthy because it doesn't have the desired number of replicas.",
)


def unreachable(cluster: str) -> Issue:
    return Issue(IssueCode.CLUSTER_UNREACHABLE, f"The API server of cluster {cluster} cannot be reached.")


def internal() -> Issue:
    """Return the issue of a failure of ours; what it was is in the log, and no business of who asks the API."""
    return Issue(IssueCode.INTERNAL_FAILURE, "The add-on service failed. See its log.")


def is_away(err: KubernetesError) -> bool:
    """Tell whether an API server cannot be worked with at all: no answer, or one about a failure of its own."""
    return isinstance(err, KubernetesUnreachableError) or err.status >= _SERVER_ERRORS


def lasting(err: KubernetesError) -> Issue:
    """Return the issue of what many tries did not cure: the cluster's own words, it is no secret of ours."""
    return Issue(IssueCode.INTERNAL_FAILURE, f"The add-on service cannot finish: {err.message}")


def issue_of(err: VpcCniError) -> Issue:
    """Return the issue that an error is which another try would not cure."""
    if isinstance(err, KubernetesDeniedError):
        return Issue(IssueCode.ACCESS_DENIED, err.message)
    return internal()
