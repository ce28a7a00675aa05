"""Settings of the work with the Kubernetes API: who we are there, where it is, what is written."""

from dataclasses import dataclass
from pathlib import Path

from vpc_cni.settings._kinds import BOOLEAN, PATH, TEXT, URL
from vpc_cni.settings._reader import EnvironmentReader
from vpc_cni.settings._setting import Setting

MY_NODE_NAME = Setting(
    "MY_NODE_NAME",
    TEXT,
    default="",
    unset="none",
    since="before 1.6",
    meaning="Name of the Node object, from the downward API. Without it the Node is not watched.",
)
MY_POD_NAME = Setting(
    "MY_POD_NAME",
    TEXT,
    default="",
    unset="none",
    since="before 1.6",
    meaning="Name of the agent's own pod, from the downward API, for Events about missing IAM permissions.",
)
CLUSTER_ENDPOINT = Setting(
    "CLUSTER_ENDPOINT",
    URL,
    default="",
    unset="in-cluster address",
    since="1.12.1",
    meaning="Address of the Kubernetes API server, for nodes on which kube-proxy starts later than the agent.",
)
ANNOTATE_POD_IP = Setting(
    "ANNOTATE_POD_IP",
    BOOLEAN,
    default="false",
    since="1.9.3",
    meaning="Write the annotation `vpc.amazonaws.com/pod-ips`. An ADD does not wait for it.",
)
KUBECONFIG = Setting(
    "VPC_CNI_KUBECONFIG",
    PATH,
    default="",
    unset="service account of the pod",
    since="0.1.0",
    meaning="Kubeconfig file in JSON, for an agent that runs outside a pod.",
)

SETTINGS: tuple[Setting[object], ...] = (
    MY_NODE_NAME,
    MY_POD_NAME,
    CLUSTER_ENDPOINT,
    ANNOTATE_POD_IP,
    KUBECONFIG,
)


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """How the agent works with the Kubernetes API. Empty texts: not said."""

    node_name: str = ""
    pod_name: str = ""
    cluster_endpoint: str = ""
    annotate_pod_ip: bool = False
    kubeconfig: Path | None = None


def read_kubernetes(environment: EnvironmentReader) -> KubernetesSettings:
    """Read this module's settings; problems go to the reader."""
    return KubernetesSettings(
        node_name=environment.read(MY_NODE_NAME),
        pod_name=environment.read(MY_POD_NAME),
        cluster_endpoint=environment.read_optional(CLUSTER_ENDPOINT) or "",
        annotate_pod_ip=environment.read(ANNOTATE_POD_IP),
        kubeconfig=environment.read_optional(KUBECONFIG),
    )
