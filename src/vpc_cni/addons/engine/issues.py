"""What refusals of an API server mean as issues of an add-on. Pure."""

from collections.abc import Iterable

from vpc_cni.addons.model import Issue, IssueCode
from vpc_cni.cluster.applying import ApplyPlan
from vpc_cni.errors import KubernetesDeniedError, KubernetesError, KubernetesNotFoundError
from vpc_cni.manifests import ObjectName

NO_REPLICAS = Issue(
    IssueCode.INSUFFICIENT_NUMBER_OF_REPLICAS,
    "The add-on is unhealthy because it doesn't have the desired number of replicas.",
)
# There is no reason or code for a webhook that says no: it chooses both itself.
_ADMISSION = (("admission webhook", "denied the request"), ("ValidatingAdmissionPolicy", "denied request"))


def conflict_issue(plan: ApplyPlan) -> Issue:
    return Issue(IssueCode.CONFIGURATION_CONFLICT, plan.conflict_message())


def refusal_issue(err: KubernetesError) -> Issue:
    """Return the issue of an error that trying again would not cure, in the API server's own words."""
    message = err.said or err.message
    if any(all(words in message for words in each) for each in _ADMISSION):
        return Issue(IssueCode.ADMISSION_REQUEST_DENIED, message)
    if isinstance(err, KubernetesDeniedError):
        return Issue(IssueCode.ACCESS_DENIED, message)
    if isinstance(err, KubernetesNotFoundError):
        return Issue(IssueCode.K8S_RESOURCE_NOT_FOUND, message)
    return Issue(IssueCode.UNSUPPORTED_ADDON_MODIFICATION, message)


def missing_issue(names: Iterable[ObjectName]) -> Issue:
    """Return the issue of objects that are gone, named as in conflict messages."""
    texts = tuple(
        f"{each.kind}.{each.group} {each.name}" if each.group else f"{each.kind} {each.name}" for each in names
    )
    lines = "\n".join(texts)
    return Issue(
        IssueCode.K8S_RESOURCE_NOT_FOUND, f"Resources of the add-on were not found in the cluster:\n{lines}", texts
    )
