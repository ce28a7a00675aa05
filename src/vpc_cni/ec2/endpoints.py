"""Where the EC2 and STS of a region answer. Pure.

The rules are those of the service endpoint rule sets that botocore ships, cut down to the two services: both
follow the same pattern in every partition. A contract test compares every region with botocore's evaluation.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from vpc_cni.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Partition:
    """A group of regions with their own accounts and DNS names."""

    name: str
    region_pattern: str
    dns_suffix: str
    dual_stack_suffix: str


PARTITIONS = (
    Partition("aws", r"(us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+", "amazonaws.com", "api.aws"),
    Partition("aws-cn", r"cn-\w+-\d+", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    Partition("aws-us-gov", r"us-gov-\w+-\d+", "amazonaws.com", "api.aws"),
    Partition("aws-eusc", r"eusc-de-\w+-\d+", "amazonaws.eu", "api.amazonwebservices.eu"),
    Partition("aws-iso", r"us-iso-\w+-\d+", "c2s.ic.gov", "api.aws.ic.gov"),
    Partition("aws-iso-b", r"us-isob-\w+-\d+", "sc2s.sgov.gov", "api.aws.scloud"),
    Partition("aws-iso-e", r"eu-isoe-\w+-\d+", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    Partition("aws-iso-f", r"us-isof-\w+-\d+", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
)

# Variables that replace an endpoint, the first that is set wins. AWS_EC2_ENDPOINT is the reference agent's own;
# the others are those of the AWS SDKs.
EC2_OVERRIDES = ("AWS_EC2_ENDPOINT", "AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL")
STS_OVERRIDES = ("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL")

_REGION = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A service to send requests to: ``url`` without a trailing slash, ``service`` and ``region`` to sign for."""

    service: str
    region: str
    url: str


def partition_of(region: str) -> Partition:
    """Return the partition of a region; an unknown pattern counts as ``aws``, as in the AWS SDKs. Pure."""
    for partition in PARTITIONS:
        if re.fullmatch(partition.region_pattern, region):
            return partition
    return PARTITIONS[0]


def default_url(service: str, region: str, *, fips: bool = False, dual_stack: bool = False) -> str:
    """Return the regional URL of ``ec2`` or ``sts``. Pure."""
    partition = partition_of(region)
    suffix = partition.dual_stack_suffix if dual_stack else partition.dns_suffix
    # The plain endpoints of GovCloud are FIPS endpoints; there is no other name for them.
    marked = fips and (dual_stack or partition.name != "aws-us-gov")
    return f"https://{service}{'-fips' if marked else ''}.{region}.{suffix}"


def ec2_endpoint(region: str, environ: Mapping[str, str]) -> Endpoint:
    """Choose the EC2 endpoint. Pure.

    Raises:
        ConfigurationError: the region or an override is no such thing.
    """
    return _choose("ec2", region, environ, EC2_OVERRIDES)


def sts_endpoint(region: str, environ: Mapping[str, str]) -> Endpoint:
    """Choose the STS endpoint, always the regional one. Pure.

    Raises:
        ConfigurationError: the region or an override is no such thing.
    """
    return _choose("sts", region, environ, STS_OVERRIDES)


def _choose(service: str, region: str, environ: Mapping[str, str], overrides: tuple[str, ...]) -> Endpoint:
    if not _REGION.fullmatch(region):
        raise ConfigurationError(f"{region!r} is no AWS region", hint="set AWS_REGION to one such as eu-west-1")
    for name in overrides:
        if environ.get(name):
            return Endpoint(service, region, _checked_url(name, environ[name]))
    url = default_url(
        service,
        region,
        fips=_is_on(environ, "AWS_USE_FIPS_ENDPOINT"),
        dual_stack=_is_on(environ, "AWS_USE_DUALSTACK_ENDPOINT"),
    )
    return Endpoint(service, region, url)


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() == "true"


def _checked_url(name: str, value: str) -> str:
    # An override without a scheme is accepted by the reference and means https.
    url = value if "://" in value else f"https://{value}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError(f"{name}={value!r} is no endpoint", hint="give a URL such as https://host:port")
    return url.rstrip("/")
