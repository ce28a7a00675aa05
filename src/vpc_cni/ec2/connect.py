"""Puts the clients together from the environment: the entry point of the agent."""

from collections.abc import Mapping
from dataclasses import dataclass

from vpc_cni.ec2._http import HttpClient
from vpc_cni.ec2._providers import credential_source
from vpc_cni.ec2._query import EC2_API_VERSION
from vpc_cni.ec2._service import QueryService
from vpc_cni.ec2.budget import Budget
from vpc_cni.ec2.client import Ec2Client
from vpc_cni.ec2.endpoints import ec2_endpoint
from vpc_cni.ec2.metadata import MetadataClient, metadata_url
from vpc_cni.ec2.observer import CallObserver, SilentObserver
from vpc_cni.ec2.timing import Timing

_BODY_LIMIT = 8 * 1024 * 1024  # a page of 200 interfaces with 50 addresses each is 3 MiB


@dataclass(frozen=True, slots=True)
class Ec2Access:
    """A client and the budget it keeps, whose rates are metrics."""

    client: Ec2Client
    budget: Budget


def connect_metadata(
    environ: Mapping[str, str], *, timing: Timing, observer: CallObserver | None = None
) -> MetadataClient:
    """Return a metadata client; sends nothing yet."""
    return MetadataClient(url=metadata_url(environ), timing=timing, observer=observer)


def connect_ec2(
    environ: Mapping[str, str],
    *,
    region: str,
    metadata: MetadataClient,
    http_timeout_seconds: float,
    timing: Timing,
    observer: CallObserver | None = None,
    call_seconds: float = 60.0,
    announced_version: str = "",
) -> Ec2Access:
    """Return an EC2 client with endpoint, proxies and credentials as the environment names them; sends nothing yet.

    Args:
        metadata: source of the instance role, when the environment names no other credentials.
        call_seconds: the longest a call may block, with its waits and retries.
        announced_version: for the user agent, ``VPC_CNI_VERSION``; our own when empty.

    Raises:
        ConfigurationError: an endpoint, proxy or credential variable is malformed.
    """
    watcher = observer or SilentObserver()
    http = HttpClient(
        environ=environ,
        timeout_seconds=http_timeout_seconds,
        body_limit=_BODY_LIMIT,
        now=timing.now,
        version=announced_version,
    )
    credentials = credential_source(
        environ=environ, region=region, http=http, metadata=metadata, timing=timing, observer=watcher
    )
    budget = Budget(timing)
    service = QueryService(
        endpoint=ec2_endpoint(region, environ),
        api_version=EC2_API_VERSION,
        http=http,
        timing=timing,
        observer=watcher,
        credentials=credentials,
        budget=budget,
        call_seconds=call_seconds,
    )
    return Ec2Access(Ec2Client(service), budget)
