"""Issues that the workers find themselves, and what errors of clusters mean as issues. Pure."""

from vpc_cni.addons.model import Issue, IssueCode
from vpc_cni.errors import KubernetesDeniedError, VpcCniError

NO_REPLICAS = Issue(
    IssueCode.INSUFFICIENT_NUMBER_OF_REPLICAS,
    "The add-on is unhealthy because it doesn't have the desired number of replicas.",
)


def unreachable(cluster: str) -> Issue:
    return Issue(IssueCode.CLUSTER_UNREACHABLE, f"The API server of cluster {cluster} cannot be reached.")


def internal() -> Issue:
    """Return the issue of a failure of ours; what it was is in the log, and no business of who asks the API."""
    return Issue(IssueCode.INTERNAL_FAILURE, "The add-on service failed. See its log.")


def issue_of(err: VpcCniError) -> Issue:
    """Return the issue that an error is which another try would not cure."""
    if isinstance(err, KubernetesDeniedError):
        return Issue(IssueCode.ACCESS_DENIED, err.message)
    return internal()
