"""Settings of the work with EC2: whose ENIs, which endpoint, how patient, what is cleaned up.

Credentials, proxies and the metadata endpoint are variables of the AWS SDKs; ``vpc_cni.ec2`` reads them itself.
"""

from dataclasses import dataclass

from vpc_cni.settings._kinds import BOOLEAN, TAGS, TEXT, TOKEN, URL, integer
from vpc_cni.settings._reader import EnvironmentReader
from vpc_cni.settings._setting import Container, Setting, Standing

CLUSTER_NAME = Setting(
    "CLUSTER_NAME",
    TEXT,
    default="",
    unset="none",
    since="before 1.6",
    meaning="Tag of new ENIs (`cluster.k8s.amazonaws.com/name`), and a filter of the search for leaked ENIs.",
)
ADDITIONAL_ENI_TAGS = Setting(
    "ADDITIONAL_ENI_TAGS",
    TAGS,
    default="{}",
    since="1.6.0",
    meaning="More tags for new ENIs.",
)
AWS_REGION = Setting(
    "AWS_REGION",
    TEXT,
    default="",
    unset="region of the instance",
    since="before 1.6",
    meaning="Region of EC2 and STS calls; in the reference only of CloudWatch calls.",
    readers=(Container.AGENT, Container.METRICS_HELPER),
)
EC2_ENDPOINT = Setting(
    "AWS_EC2_ENDPOINT",
    URL,
    default="",
    unset="endpoint of the region",
    since="1.13.0",
    meaning="Send EC2 calls there; wins over `AWS_ENDPOINT_URL_EC2` and `AWS_ENDPOINT_URL`.",
)
HTTP_TIMEOUT = Setting(
    "HTTP_TIMEOUT",
    integer(10, 600, unit="seconds"),
    default="10",
    since="1.7.9",
    meaning="How long one request to AWS may stay without an answer.",
    readers=(Container.AGENT, Container.METRICS_HELPER),
)
DISABLE_LEAKED_ENI_CLEANUP = Setting(
    "DISABLE_LEAKED_ENI_CLEANUP",
    BOOLEAN,
    default="false",
    since="1.13.0",
    meaning="Never look for ENIs that terminated instances left behind.",
)
LEAK_CLEANUP_SECONDS = Setting(
    "VPC_CNI_LEAK_CLEANUP_SECONDS",
    integer(5, 604_800, unit="seconds"),
    default="3600",
    since="0.1.0",
    meaning="How often leaked ENIs are looked for. One that is younger than this, or than 300 s, is left alone.",
)
ANNOUNCED_VERSION = Setting(
    "VPC_CNI_VERSION",
    TOKEN,
    default="",
    unset="version of the agent",
    since="1.15.1",
    meaning="Version in the user agent of AWS calls (`vpc-cni/VERSION`); it shows in CloudTrail.",
)
SUBNET_DISCOVERY = Setting(
    "ENABLE_SUBNET_DISCOVERY",
    BOOLEAN,
    default="true",
    since="1.18.0",
    meaning="Create ENIs in other subnets of the zone too: those tagged `kubernetes.io/role/cni`.",
    standing=Standing.NO_EFFECT,
    why="subnet discovery is not built yet, ENIs are created in the subnet of the primary ENI only; false says so",
    built=(False,),
)

SETTINGS: tuple[Setting[object], ...] = (
    CLUSTER_NAME,
    ADDITIONAL_ENI_TAGS,
    AWS_REGION,
    EC2_ENDPOINT,
    HTTP_TIMEOUT,
    DISABLE_LEAKED_ENI_CLEANUP,
    LEAK_CLEANUP_SECONDS,
    ANNOUNCED_VERSION,
    SUBNET_DISCOVERY,
)


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """How the agent works with AWS. Empty texts mean: as the instance or the release says.

    ``additional_eni_tags`` are (key, value) pairs, sorted, keys unique. ``leak_cleanup_seconds`` is None when off.
    """

    cluster_name: str
    additional_eni_tags: tuple[tuple[str, str], ...]
    region: str
    ec2_endpoint: str
    http_timeout_seconds: int
    leak_cleanup_seconds: int | None
    announced_version: str = ""


def read_cloud(environment: EnvironmentReader) -> CloudSettings:
    """Read this module's settings; problems go to the reader."""
    period = environment.read(LEAK_CLEANUP_SECONDS)
    return CloudSettings(
        cluster_name=environment.read(CLUSTER_NAME),
        additional_eni_tags=environment.read(ADDITIONAL_ENI_TAGS),
        region=environment.read(AWS_REGION),
        ec2_endpoint=environment.read_optional(EC2_ENDPOINT) or "",
        http_timeout_seconds=environment.read(HTTP_TIMEOUT),
        leak_cleanup_seconds=None if environment.read(DISABLE_LEAKED_ENI_CLEANUP) else period,
        announced_version=environment.read_optional(ANNOUNCED_VERSION) or "",
    )
